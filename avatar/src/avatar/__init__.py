"""The media pipeline: a RenderSpec goes in, frames, sound and an MP4 come out; it imports nothing of the other rooms."""

__version__ = "0.1.0"
