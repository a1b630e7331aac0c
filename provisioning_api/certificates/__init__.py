"""Keys and authorities of this installation, and the certificates that they sign for machines and servers."""
