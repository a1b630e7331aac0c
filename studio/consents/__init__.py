"""Consents: who agreed to be shown or heard, when, and what for."""
