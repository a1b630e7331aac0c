"""Mission Control, the page at `/`: its files are built from `ui/` into `built/`, and served from there."""
