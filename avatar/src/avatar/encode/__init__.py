"""Files out of frames and sound: segments, the joined MP4, captions, poster, provenance; whole or not at
all.
"""
