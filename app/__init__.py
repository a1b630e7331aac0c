"""The composition root: the command line, the server processes, migrations; imports every room."""
