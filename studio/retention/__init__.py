"""What may go: old results, unused segments, blobs that nobody holds."""
