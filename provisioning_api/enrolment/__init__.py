"""Tokens of one use, and the exchange of such a token for certificates."""
