"""Runs untrusted Python in a bubblewrap sandbox of its own; called by the tool `code_runner`."""

from agent.sandbox.limits import Limits
from agent.sandbox.outcome import Footing, LimitHit, OutputFile, SandboxRun
from agent.sandbox.runner import Sandbox

__all__ = ["Footing", "LimitHit", "Limits", "OutputFile", "Sandbox", "SandboxRun"]
