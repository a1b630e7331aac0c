"""Tools on machines, runs of Ansible and commands; all through the provisioning API."""
