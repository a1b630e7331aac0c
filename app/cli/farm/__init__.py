"""Commands for the farm and its machines."""
