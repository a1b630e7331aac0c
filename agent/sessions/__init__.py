"""Conversations: one row per session, one per turn; the Brain reads what "it" is, people their history."""
