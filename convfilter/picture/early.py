"""A PNG or JPEG decoded in a thread of its own while the rest of the program is still being loaded.

Loading NumPy, llvmlite and the engine takes as long as decoding a photo. So decoding gets a head start; whoever reads
the file later finds it in memory, with its samples. Nothing is judged here: what looks odd is left alone, for the
reader to say what is wrong with it.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from convfilter.picture import png

if TYPE_CHECKING:
    from convfilter.picture.picture import Pixels

#: Below this it takes longer to start a thread than it saves.
_LEAST_BYTES = 1 << 18
#: More than this must first be held against the memory that there is.
_MOST_BYTES = 1 << 29
_IHDR_BYTES = 13
_JPEG = b"\xff\xd8\xff"
#: So much is inflated by one call: after each the thread may have to wait for the interpreter, 5 ms at a time.
_CALL_BYTES = 1 << 22


class EarlyFile(io.BytesIO):
    """The content of a file, and the samples of the PNG or JPEG that it is."""

    def __init__(self, decoding: _Decoding) -> None:
        super().__init__(decoding.content)
        self._decoding = decoding

    def view(self, size: int) -> memoryview:
        """Read without copying."""
        content = self._decoding.content
        at = self.tell()
        return memoryview(content)[at : self.seek(min(at + size, len(content)))]

    def samples(self, size: int) -> Pixels | None:
        """Wait for the samples and hand them over; None unless they come from ``size`` bytes of data, all good.

        The data are the compressed pixels of a PNG, and all of a JPEG.
        """
        if self._decoding.is_alive():
            from convfilter.engine import native

            native.load_llvm()  # which would have to wait for nothing, and takes as long as much of a photo
        self._decoding.join()
        samples, self._decoding.samples = self._decoding.samples, None
        return samples if size == self._decoding.compressed else None


class _Decoding(threading.Thread):
    """Reads one file; ``samples`` are None if it is not whole, or of a kind that is left to the reader."""

    def __init__(self, path: str, max_pixels: int) -> None:
        super().__init__(daemon=True)
        self.path, self._max_pixels = path, max_pixels
        self.read = threading.Event()
        self.decoder_loaded = threading.Event()
        self.content: bytes = b""
        self.compressed = 0
        self.samples: Pixels | None = None

    def run(self) -> None:
        """Read and decode; any failure is left to the reader to find again."""
        with suppress(Exception):
            try:
                self.content = _content(self.path)
            finally:
                self.read.set()
            self.decoder_loaded.wait()
            decode = _decoded_png if self.content.startswith(png.SIGNATURE) else _decoded_jpeg
            self.compressed, self.samples = decode(self.content, self._max_pixels)


def _decoded_png(content: bytes, max_pixels: int) -> tuple[int, Pixels | None]:
    header, parts = _found(content, max_pixels)
    pieces = _inflated(parts, header.data_bytes) if header else None
    if header is None or pieces is None:
        return 0, None
    from convfilter.picture.png_data import decode_samples

    return sum(map(len, parts)), decode_samples(header, [], lenient=False, inflated=pieces)[0]


def _decoded_jpeg(content: bytes, max_pixels: int) -> tuple[int, Pixels | None]:
    from convfilter.picture import jpeg

    layout = jpeg.layout_of(content)
    if layout is None or layout.data_end is None or jpeg.damage(layout, len(content)):
        return 0, None
    if layout.components not in (1, 3) or layout.width * layout.height * layout.components > _MOST_BYTES:
        return 0, None
    return len(content), jpeg.decode(content) if layout.width * layout.height <= max_pixels else None


def _kind(path: str) -> bytes:
    """Return the first bytes of a PNG or JPEG of the right size, of other files nothing."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode) or not _LEAST_BYTES <= status.st_size <= _MOST_BYTES:
            return b""
        with open(path, "rb", buffering=0) as file:
            head = file.read(len(png.SIGNATURE))
    except (OSError, ValueError):
        return b""
    return head if head == png.SIGNATURE or head.startswith(_JPEG) else b""


def _content(path: str) -> bytes:
    """Read a file by as few calls as it takes: after each the thread has to wait for the interpreter."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, min(os.fstat(file).st_size, _MOST_BYTES))
    finally:
        os.close(file)


def _found(content: bytes, max_pixels: int) -> tuple[png.Header | None, list[memoryview]]:
    """Find header and compressed pixels; None where the size is not in order."""
    view = memoryview(content)
    parts: list[memoryview] = []
    header = None
    at = len(png.SIGNATURE)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        data = view[at + 8 : at + 8 + length]
        if kind == b"IHDR" and length == _IHDR_BYTES:
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data)
            if depth not in png.DEPTHS.get(colour, ()) or not 0 < width * height <= max_pixels:
                return None, []
            header = png.Header(width, height, depth, colour, bool(interlaced))
        elif kind == b"IDAT":
            parts.append(data)
        at += 12 + length
    return (header, parts) if header and header.data_bytes <= _MOST_BYTES and parts else (None, [])


def _inflated(parts: list[memoryview], size: int) -> list[bytes] | None:
    """Inflate exactly ``size`` bytes in few calls, which leave the interpreter to those who are loading modules."""
    from isal import igzip_lib, isal_zlib

    stream = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_ZLIB)
    pieces: list[bytes] = []
    try:
        for data in _joined(parts):
            # One more than there must be: the stream's end and its checksum are behind the last.
            pieces.append(stream.decompress(data, size + 1))
            size -= len(pieces[-1])
            if size < 0 or stream.eof:
                break
    except (isal_zlib.error, MemoryError):  # type: ignore[misc]
        return None
    return pieces if size == 0 and stream.eof else None


def _joined(parts: list[memoryview]) -> Iterator[bytes]:
    """Join parts, which are short, to pieces that are worth a call."""
    start = length = 0
    for index, part in enumerate(parts, 1):
        length += len(part)
        if length >= _CALL_BYTES or index == len(parts):
            yield b"".join(parts[start:index])
            start, length = index, 0


_begun: list[_Decoding] = []


def begin(path: str, max_pixels: int) -> None:
    """Start decoding a file, if it is a PNG or JPEG worth it; ``taken`` gets what comes of it.

    Parameters
    ----------
    path : str
    max_pixels : int
        Pictures with more are left alone.
    """
    kind = _kind(path)
    if kind:
        _begun[:] = [_Decoding(path, max_pixels)]
        _begun[0].start()
        # Before all other modules, so that the thread need not wait for it.
        if kind == png.SIGNATURE:
            from convfilter.engine import png_filters

            _begun[0].decoder_loaded.set()
            png_filters.load()
        else:
            from convfilter.picture import jpeg

            try:
                jpeg.load_decoder()
            finally:
                _begun[0].decoder_loaded.set()


def taken(path: str) -> EarlyFile | None:
    """Return what ``begin`` has read under this name, once; None if that is nothing."""
    if not _begun or _begun[0].path != path:
        return None
    decoding = _begun.pop()
    decoding.read.wait()
    return EarlyFile(decoding) if decoding.content else None
