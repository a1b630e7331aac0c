"""Turns free speech into text with the times of its words: answers by voice, recordings, footage."""
