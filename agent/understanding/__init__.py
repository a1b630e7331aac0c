"""From a sentence to one typed tool call, without a language model; the Brain asks here first."""

from agent.understanding.grammar import Grammar, HelpEntry, NotUnderstood, Understanding

__all__ = ["Grammar", "HelpEntry", "NotUnderstood", "Understanding"]
