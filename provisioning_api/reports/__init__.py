"""What deploy agents tell while they work: spans, failures, and that a disk was wiped."""
