"""LivePortrait: a portrait moved by another face, by a motion template, or by the control track of a speech.

The networks need torch (the worker's extra `gpu`); crop, motion arithmetic and templates do not.
"""
