"""Who decided what, as a chain of hashes: a record that was changed afterwards does not fit any more."""
