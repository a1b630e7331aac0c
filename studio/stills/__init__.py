"""Small pictures of scenes as their film will show them, made while a person edits."""
