"""What the farm knows of a piece of hardware, and the states of its life."""
