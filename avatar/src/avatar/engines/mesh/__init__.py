"""The mesh engine: real faces, from a photo or a motion video, warped in 2.5D and given a new mouth."""

from avatar.engines.mesh.photo import INFO, PhotoEngine, open_photo

__all__ = ["INFO", "PhotoEngine", "open_photo"]
