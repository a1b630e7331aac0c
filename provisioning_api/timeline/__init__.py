"""Shows where the time went between power-on and ready."""
