"""What is forgotten goes out of everything that was written down about it, in one transaction."""

from agent.forgetting.words import Forgotten

__all__ = ["Forgotten"]
