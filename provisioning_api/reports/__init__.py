"""Receives reports of deploy agents: spans, failures, and wiped disks."""
