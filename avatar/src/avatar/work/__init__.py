"""Runs one order of the control plane on a node of the farm: its inputs by hash, its outputs back by
hash.
"""
