"""Engine `motion`: a person's own video, movement kept, mouth driven anew; opened by the registry."""

from avatar.engines.motion.engine import MotionEngine, open_motion

__all__ = ["MotionEngine", "open_motion"]
