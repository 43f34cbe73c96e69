"""Netpbm's formats at full depth: PBM, PGM, PPM (P1 to P6), PAM (P7) and PFM.

Read and written here, since Pillow makes 8 bits of a 16-bit PPM. Sources: the
manual pages pbm(5), pgm(5), ppm(5), pam(5); pfm as by P. Debevec.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from convfilter.errors import ReadError
from convfilter.picture import limits
from convfilter.picture.colour import as_stored, widened
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import CHANNELS, Frame, Model, Picture, Pixels, channels_of, chosen

_BLANKS = b" \t\r\n\v\f"
_TOKEN_BYTES = 20
_PAM_HEADER_BYTES = 4096
#: Memory for a sample that is written as text, while it is one word of many.
_PLAIN_BYTES = 64


class _Header:
    """The blank-separated words at the beginning of the file, comments left out."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def word(self) -> bytes:
        """Read one word and the single blank behind it."""
        word = b""
        while True:
            byte = self._file.read(1)
            if byte == b"#":
                while byte not in (b"\n", b"\r", b""):
                    byte = self._file.read(1)
            if not byte or byte in _BLANKS:
                if word or not byte:
                    return word
                continue
            word += byte
            if len(word) > _TOKEN_BYTES:
                raise ReadError("the header of the PNM holds no number where one must be")

    def number(self, what: str) -> int:
        """Read a whole number above 0."""
        word = self.word()
        if not word.isdigit() or int(word) < 1:
            raise ReadError(f"the {what} of the PNM must be a number of at least 1, got {word.decode('latin-1')!r}")
        return int(word)


def read_pnm(file: BinaryIO, options: ReadOptions) -> Picture:
    """Read a PBM, PGM, PPM, PAM or PFM; a ``Reader``.

    Samples are uint8 up to a largest value of 255, uint16 above, with the numbers
    of the file; only black and white become 0 and 255. float32 for PFM.
    """
    if options.frame is not None:
        chosen([0], options.frame)
    kind = file.read(2)
    if kind in (b"Pf", b"PF"):
        return _read_pfm(file, options, 3 if kind == b"PF" else 1)
    if kind == b"P7":
        return _read_pam(file, options)
    header = _Header(file)
    width, height = header.number("width"), header.number("height")
    limits.require_size(width, height, options.max_pixels, judge=options.judge)
    largest = 1 if kind in (b"P1", b"P4") else _largest(header.number("largest value"))
    channels = 3 if kind in (b"P3", b"P6") else 1
    limits.require_memory(2 * width * height * channels * (1 if largest < 256 else 2))
    note = ""
    if kind in (b"P1", b"P2", b"P3"):
        samples, note = _plain_samples(file, height * width * channels, kind == b"P1", largest, options)
    elif kind == b"P4":
        rows, note = _samples(file, height * ((width + 7) // 8), np.dtype(np.uint8), options)
        samples = np.unpackbits(rows.reshape(height, -1), axis=1)[:, :width]
    else:
        samples, note = _samples(file, height * width * channels, np.dtype("u1" if largest < 256 else ">u2"), options)
    if kind in (b"P1", b"P4"):
        samples = 1 - samples
    return _picture(samples, (height, width, channels), largest, "PNM", note)


def _largest(value: int) -> int:
    if value > 65535:
        raise ReadError(f"the largest value of a PNM is 65535 at most, got {value}")
    return value


def _picture(samples: Pixels, shape: tuple[int, int, int], largest: int, name: str, note: str) -> Picture:
    height, width, channels = shape
    if int(samples.max()) > largest:
        raise ReadError(f"the {name} is damaged: a sample of {int(samples.max())} is above its largest value {largest}")
    shaped = samples.reshape((height, width, channels) if channels > 1 else (height, width))
    pixels, white = as_stored(shaped, largest) if largest > 1 else (widened(shaped, 1), None)
    model: Model = "gray" if channels < 3 else "rgb"
    return Picture([Frame(pixels)], model, channels in (2, 4), name, notes=(note,) if note else (), white=white)


def _samples(file: BinaryIO, count: int, dtype: np.dtype[np.generic], options: ReadOptions) -> tuple[Pixels, str]:
    """Read binary samples; a short file is an error, or zeros and a note where that is wanted."""
    data = file.read(count * dtype.itemsize)
    note = ""
    if len(data) < count * dtype.itemsize:
        note = f"the PNM is truncated: {len(data)} of {count * dtype.itemsize} bytes are there"
        if not options.lenient:
            raise ReadError(f"{note}; --lenient decodes what is left")
        data = data.ljust(count * dtype.itemsize, b"\0")
    return np.frombuffer(data, dtype), note


def _plain_samples(file: BinaryIO, count: int, bits: bool, largest: int, options: ReadOptions) -> tuple[Pixels, str]:
    """Read samples written as decimal text; the digits of a plain PBM may stand together."""
    limits.require_memory(_PLAIN_BYTES * count)
    # A sample takes at most 5 digits; more blanks than that between any two are no picture.
    text = file.read(16 * count + 65536)
    if b"#" in text:
        text = b"\n".join(line.partition(b"#")[0] for line in text.split(b"\n"))
    words = [bytes([byte]) for byte in text if byte in b"01"] if bits else text.split()
    note = ""
    if len(words) < count:
        note = f"the PNM is truncated: {len(words)} of {count} samples are there"
        if not options.lenient:
            raise ReadError(f"{note}; --lenient decodes what is left")
        words += [b"0"] * (count - len(words))
    try:
        values = np.array(words[:count], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise ReadError("the PNM is damaged: a sample is no whole number") from error
    if values.min() < 0 or values.max() > largest:
        raise ReadError(f"the PNM is damaged: a sample is outside of 0 to {largest}")
    return values.astype(np.uint8 if largest < 256 else np.uint16), note


def _read_pam(file: BinaryIO, options: ReadOptions) -> Picture:
    fields: dict[bytes, bytes] = {}
    file.readline(_PAM_HEADER_BYTES)
    while True:
        line = file.readline(_PAM_HEADER_BYTES)
        if not line.endswith(b"\n") or file.tell() > _PAM_HEADER_BYTES:
            raise ReadError("the header of the PAM has no end")
        key, _, value = line.strip().partition(b" ")
        if key == b"ENDHDR":
            break
        if key and not key.startswith(b"#"):
            fields[key] = value.strip()
    try:
        width, height, depth, largest = (int(fields[key]) for key in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    except (KeyError, ValueError) as error:
        raise ReadError("the header of the PAM lacks WIDTH, HEIGHT, DEPTH or MAXVAL") from error
    limits.require_size(width, height, options.max_pixels, judge=options.judge)
    if not 1 <= depth <= 4 or not 1 <= largest <= 65535:
        raise ReadError(f"a PAM of 1 to 4 channels up to 65535 can be filtered, this one has {depth} up to {largest}")
    if fields.get(b"TUPLTYPE", b"").startswith(b"CMYK"):
        raise ReadError("a PAM of CMYK cannot be filtered; convert it to RGB first")
    limits.require_memory(2 * width * height * depth * (1 if largest < 256 else 2))
    samples, note = _samples(file, height * width * depth, np.dtype("u1" if largest < 256 else ">u2"), options)
    return _picture(samples, (height, width, depth), largest, "PAM", note)


def _read_pfm(file: BinaryIO, options: ReadOptions, channels: int) -> Picture:
    header = _Header(file)
    width, height = header.number("width"), header.number("height")
    limits.require_size(width, height, options.max_pixels, judge=options.judge)
    limits.require_memory(2 * width * height * channels * 4)
    try:
        scale = float(header.word())
    except ValueError as error:
        raise ReadError("the header of the PFM ends without a scale") from error
    samples, note = _samples(file, height * width * channels, np.dtype("<f4" if scale < 0 else ">f4"), options)
    shape = (height, width, channels) if channels > 1 else (height, width)
    # Rows are stored from the bottom up.
    pixels = np.ascontiguousarray(samples.reshape(shape)[::-1], dtype=np.float32)
    return Picture([Frame(pixels)], "rgb" if channels == 3 else "gray", False, "PFM", notes=(note,) if note else ())


def write_pnm(file: BinaryIO, name: str, picture: Picture) -> None:
    """Write a PGM, PPM, PAM or PFM.

    Parameters
    ----------
    file : BinaryIO
    name : str
        "PNM", "PGM", "PAM" or "PFM".
    picture : Picture
        Pixels of a dtype that the format holds.
    """
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    channels = channels_of(pixels)
    if name == "PFM":
        file.write(b"%s\n%d %d\n-1.0\n" % (b"PF" if channels == 3 else b"Pf", width, height))
        file.write(np.ascontiguousarray(pixels[::-1], dtype="<f4").data)
        return
    largest = picture.white or np.iinfo(pixels.dtype).max
    if name == "PAM":
        kind = (b"GRAYSCALE" if CHANNELS[picture.model] == 1 else b"RGB") + (b"_ALPHA" if picture.alpha else b"")
        file.write(
            b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nTUPLTYPE %s\nENDHDR\n"
            % (width, height, channels, largest, kind)
        )
    else:
        file.write(b"%s\n%d %d\n%d\n" % (b"P6" if channels == 3 else b"P5", width, height, largest))
    file.write(np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder(">")).data)
