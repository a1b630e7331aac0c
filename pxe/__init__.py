"""What machines boot before they have a system: the boot network, the installer, the image and its agent."""
