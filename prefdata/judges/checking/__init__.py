"""What the verifiers share: patterns, final answers, the sandbox."""
