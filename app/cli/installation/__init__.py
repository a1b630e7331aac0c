"""Commands that run the studio and keep its state."""
