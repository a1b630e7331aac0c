"""Trash: what people have thrown away is deleted after some days."""
