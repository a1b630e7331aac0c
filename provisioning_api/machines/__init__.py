"""Machines, their hardware, and the states of their life."""
