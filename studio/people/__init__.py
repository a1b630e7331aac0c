"""The end of a person's data: face, voice and everything made from them."""
