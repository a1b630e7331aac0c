"""Projects: what people edit, with versions that are never lost."""
