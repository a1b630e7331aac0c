"""Which blob is held by whom, and what was made from what."""
