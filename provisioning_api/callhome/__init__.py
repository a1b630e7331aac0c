"""The call of a machine that was installed by other means: name and address."""
