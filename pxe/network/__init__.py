"""The boot network: DHCP, TFTP and HTTP for firmware of every kind, rendered, checked and read back."""
