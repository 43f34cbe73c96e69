"""Formats that Pillow decodes or encodes, and the parts of their files that Pillow does not tell of."""
