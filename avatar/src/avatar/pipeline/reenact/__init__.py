"""`avatar reenact`: the face of a photo or video moves as a video, a motion template or a text says."""
