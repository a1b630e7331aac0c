"""Redacts forgotten texts wherever they are stored, in one transaction."""

from agent.forgetting.redaction import Redaction

__all__ = ["Redaction"]
