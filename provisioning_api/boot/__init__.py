"""What a machine boots: a script for this very machine and state, and signed artefacts."""
