"""Redacts forgotten texts wherever they are stored, in one transaction."""

from agent.forgetting.words import Redaction

__all__ = ["Redaction"]
