"""Runs of Ansible: queue, processes, events, failures."""
