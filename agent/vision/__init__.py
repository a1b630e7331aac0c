"""Looks at pictures: measured by the worker, and described by a model where one that sees is configured."""

from agent.vision.image_descriptions import ImageDescription, ImageDescriptionService, not_found

__all__ = ["ImageDescription", "ImageDescriptionService", "not_found"]
