"""One answer, from the utterance to its last event: run, logged, and streamed to all who follow it."""
