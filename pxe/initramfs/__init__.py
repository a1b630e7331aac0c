"""The ramdisk that the deploy agent runs in: the agent, drivers, and its trusted keys; nothing else."""
