"""Projects, scenes, assets, personas and consents, which people edit, and the renders of them."""
