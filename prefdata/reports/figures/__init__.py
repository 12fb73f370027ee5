"""Figures of a run or a dataset, drawn by matplotlib: each function takes plain data and returns a
`Figure`, which `drawing` writes as SVG for a page or as PNG for a card."""
