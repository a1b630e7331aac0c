"""Tool calls that wait for people: asked for, decided, run once, and remembered over restarts."""
