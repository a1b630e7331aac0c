"""Files out of frames and sound: segments, the joined MP4 and what lies beside it; whole or not at all."""
