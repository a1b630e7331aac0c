"""Nomad device plugin for NVIDIA cards, real or fake, whole or in shares. Nomad starts it; nothing else
imports it."""

__version__ = "0.1.0"
