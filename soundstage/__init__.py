"""The kernel that every room may import: settings, database, blobs, events, errors, telemetry."""
