"""Transports of voice sessions: how sound and events travel between a person and the voice worker."""
