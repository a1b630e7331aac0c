"""Tools that list, create, change and delete personas."""
