"""Looks at pictures: measured by the worker, and described by a model where one that sees is configured."""

from agent.vision.sights import Describer, Seen, SightService, not_found

__all__ = ["Describer", "Seen", "SightService", "not_found"]
