"""EXIF, XMP, ICC profiles, IPTC and tone curves: parsed, changed, carried from one format to another."""
