"""What verifiers share: patterns, final answers, the sandbox."""
