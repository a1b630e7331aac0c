"""Engine `motion`: a person's own video, their movement kept, their mouth driven anew. Opened by the registry."""

from avatar.engines.motion.engine import INFO, MotionEngine, open_motion

__all__ = ["INFO", "MotionEngine", "open_motion"]
