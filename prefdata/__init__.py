"""prefdata makes preference data for aligning language models.

The package imports neither torch, vllm nor Beam: a stage loads what it needs when it runs.
"""

__version__ = "0.1.0"
