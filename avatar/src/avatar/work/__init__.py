"""What a node of the farm runs: one order from the control plane, its inputs by hash, its outputs back by
hash.
"""
