"""Loops compiled ahead of the first picture: the sets of ``cache warm``."""
