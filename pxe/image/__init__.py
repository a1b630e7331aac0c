"""The system image: a Debian tree as a whole disk, cut into pieces that a machine verifies before writing."""
