"""Conversations: one row per session, one per turn; read by the Brain to know what "it" is, and by people as history."""
