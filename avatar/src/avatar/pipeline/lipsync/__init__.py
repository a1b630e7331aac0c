"""`avatar lipsync`: a video and a sound in, the same video saying it out."""
