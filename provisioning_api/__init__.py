"""From power-on to ready: machines, enrolment, boot scripts, runs of Ansible; only this room holds SSH
keys.
"""
