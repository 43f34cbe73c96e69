"""Formats that Pillow decodes or encodes, and parsers for what Pillow does not report."""
