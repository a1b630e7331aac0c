"""Tells other programs what happened: signed, tried again, written down (www.standardwebhooks.com)."""
