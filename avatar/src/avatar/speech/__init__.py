"""Speech: a scene goes in; a WAV with word and phoneme times comes out, for `avatar.timing`."""

from avatar.speech.speak import speak

__all__ = ["speak"]
