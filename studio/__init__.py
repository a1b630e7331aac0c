"""What people edit and what is made of it: projects, scenes, assets, personas, consents, renders."""
