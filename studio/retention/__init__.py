"""Removes old results, unused segments and blobs without references."""
