"""Everything around the face: backdrop, layout, overlays, captions, and the planes the encoder takes."""
