"""TIFF files built tag by tag."""

import struct


def by_hand(width, height, data, *, bits=8, extra=(), following=0):
    """A TIFF of one strip, tag by tag."""
    tags = {
        256: (4, width),
        257: (4, height),
        258: (3, bits),
        259: (3, 1),
        262: (3, 1),
        273: (4, 8),
        277: (3, 1),
        278: (4, height),
        279: (4, len(data)),
        **dict(extra),
    }
    directory = struct.pack("<H", len(tags))
    for tag, (kind, value) in sorted(tags.items()):
        directory += struct.pack("<HHII", tag, kind, 1, value)
    data += b"\0" * (len(data) & 1)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + struct.pack("<I", following)
