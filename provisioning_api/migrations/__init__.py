"""The tables of the provisioning database, revision by revision."""
