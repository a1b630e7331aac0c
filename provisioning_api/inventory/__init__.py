"""The inventory of Ansible, as an answer and as a file."""
