"""The directories of a TIFF that is written, each after the samples of its page. TIFF 6.0 (Adobe, 1992); BigTIFF."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO, Literal

from convfilter.picture.metadata import ifd
from convfilter.picture.metadata.ifd import Field

_ORDER: Literal["<"] = "<"


class Pages:
    """The chain of directories of a TIFF that is written: one for each page.

    Parameters
    ----------
    file : BinaryIO
        Seekable, at its beginning.
    big : bool
        Whether to write a BigTIFF, whose offsets have 64 bits.
    """

    def __init__(self, file: BinaryIO, *, big: bool) -> None:
        self.file, self.big = file, big

    def begin(self) -> None:
        """Write the header."""
        self.file.write(b"II+\0\x08\0\0\0" if self.big else b"II*\0")
        self._link_at = self.file.tell()
        self.file.write(bytes(8 if self.big else 4))

    def append(self, fields: dict[int, Field], below: dict[int, dict[int, Field]]) -> None:
        """Append the directory of a page whose samples are in the file already.

        Parameters
        ----------
        fields : dict of int to Field
            Little-endian fields by tag; the pointers to the directories below are added.
        below : dict of int to dict of int to Field
            Fields of the directories to which the page points (EXIF, GPS), by the tag of the pointer.
        """
        for tag, children in below.items():
            if children:
                end = self._end()
                self.file.write(ifd.packed(children, end, _ORDER, big=self.big))
                fields[tag] = ifd.pointer(tag, end, _ORDER, big=self.big)
        end = self._end()
        self.file.write(ifd.packed(fields, end, _ORDER, big=self.big))
        widths = ifd.layout(self.big)
        self.file.seek(self._link_at)
        self.file.write(struct.pack(_ORDER + widths.offset, end))
        self._link_at = end + struct.calcsize(_ORDER + widths.number) + widths.entry_bytes * len(fields)
        self.file.seek(0, os.SEEK_END)

    def _end(self) -> int:
        """Seek to the end of the file, pad it to an even offset, and return the offset."""
        end = self.file.seek(0, os.SEEK_END)
        if end & 1:
            self.file.write(b"\0")
        return end + (end & 1)
