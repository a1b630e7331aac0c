"""Pronunciations of the whole installation: how names and terms are spoken in every film."""
