"""Tools on projects, their scenes and their scripts."""
