"""`soundstage doctor`: looks at everything a video needs on this machine, and says what to do."""

from app.doctor.check import Check, Level
from app.doctor.examine import examine

__all__ = ["Check", "Level", "examine"]
