"""Formats that take one module each."""
