"""Cards that are not there: what a machine of the lab is told about its GPUs."""
