"""Draws characters from designs: the parts that differ are looked up by name and tinted."""
