"""The media pipeline: a RenderSpec goes in, an MP4 comes out; it imports nothing of the other rooms."""

__version__ = "0.1.0"
