"""Network boot of machines without a system: the boot network, the installer, the image and its agent."""
