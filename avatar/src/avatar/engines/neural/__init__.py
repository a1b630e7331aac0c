"""Faces drawn by networks on a card: which engine, which models are held, and the chain of both."""
