"""Puts finished videos on YouTube: resumable, private by default, and never twice."""
