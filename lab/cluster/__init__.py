"""A plain Nomad and Consul cluster of lab machines, in seconds: for drills of the scheduler, without secrets.

The secured farm is what the playbook makes; this is its engine room alone.
"""
