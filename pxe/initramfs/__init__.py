"""The ramdisk that the deploy agent runs in: the agent, drivers, and whom it trusts; nothing else."""
