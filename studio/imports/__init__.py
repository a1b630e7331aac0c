"""Imports of documents: Markdown, plain text, PowerPoint, Word and web pages become scenes of a project."""
