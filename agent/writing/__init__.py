"""Scripts and scenes: divided out of a given text, or written by a model; for the tools of scripts."""
