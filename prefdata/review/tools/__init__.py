"""The tools in which people judge: the files that each reads, and the answers that it exports."""
