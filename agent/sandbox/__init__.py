"""Runs untrusted Python in a bubblewrap sandbox of its own; called by the tool `code_runner`."""

from agent.sandbox.limits import Limits
from agent.sandbox.outcome import LimitHit, SandboxRun
from agent.sandbox.runner import Sandbox

__all__ = ["LimitHit", "Limits", "Sandbox", "SandboxRun"]
