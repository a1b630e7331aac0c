"""Live sessions: a persona answers with its voice, and an avatar page follows state, mouth and feeling."""
