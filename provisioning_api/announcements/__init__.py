"""Announced machines: their serial number and a secret that only they can read."""
