"""Personas: who speaks. One YAML file each, read again when it changes."""
