"""Pictures and sound of scenes as their film will have them, made while a person edits."""
