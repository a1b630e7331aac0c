"""Allowed commands on one machine, over SSH."""
