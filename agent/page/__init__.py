"""The plain page at `/`: one HTML file, its style and its modules, served with a strict content policy."""
