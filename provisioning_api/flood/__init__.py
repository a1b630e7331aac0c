"""A fleet that does not exist: simulated machines against the real API, with faults, the same for the same
seed.
"""
