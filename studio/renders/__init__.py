"""Renders: specs being made, from the request to files people can watch."""
