"""JPEG: segments, pixels, rows."""
