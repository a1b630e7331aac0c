"""Draws characters from designs: the parts that differ are looked up by name and tinted."""

from avatar.engines.rig.maker.build import build_character

__all__ = ["build_character"]
