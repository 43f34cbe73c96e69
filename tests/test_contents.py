"""Notes on files of several pictures of which one is filtered; no part of a picture is left out."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from samples import noise

from convfilter.errors import ReadError
from convfilter.picture.pillow import contents
from convfilter.picture.read import ReadOptions, read


def saved(array, fmt, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, fmt, **options)
    return buffer.getvalue()


def picture(data, **options):
    return read(io.BytesIO(data), ReadOptions(**options))


def test_icons():
    rgba = noise((64, 64, 4))
    for fmt, sizes in (("ICO", [(16, 16), (32, 32), (64, 64)]), ("ICNS", None)):
        data = saved(rgba, fmt, **({"sizes": sizes} if sizes else {}))
        found = picture(data)
        assert "icons; the largest is read" in found.notes[0]
    one = saved(rgba, "ICO", sizes=[(64, 64)])
    assert picture(one).notes == ()
    cursors = bytearray(saved(rgba, "ICO", sizes=[(16, 16), (64, 64)], bitmap_format="bmp"))
    cursors[2] = 2
    assert picture(bytes(cursors)).notes == ("the file holds 2 icons; the largest is read",)


def test_textures():
    data = bytearray(saved(noise((8, 8, 4)), "DDS"))
    assert picture(bytes(data)).notes == ()
    struct.pack_into("<I", data, 28, 4)
    assert "3 reduced versions of the picture (mipmaps)" in picture(bytes(data)).notes[0]
    for capability, kind in ((0x200, "cube map"), (0x200000, "volume")):
        struct.pack_into("<I", data, 112, capability)
        with pytest.raises(ReadError, match=f"a DDS {kind} holds more than one picture"):
            picture(bytes(data))


def test_texture_arrays():
    head = bytearray(saved(noise((8, 8, 4)), "DDS")[:128])
    head[80:88] = struct.pack("<I4s", 4, b"DX10")
    for flags, layers, kind in ((0, 3, "texture of 3 layers"), (4, 1, "cube map")):
        data = bytes(head) + struct.pack("<IIIII", 28, 3, flags, layers, 0) + bytes(8 * 8 * 4)
        with pytest.raises(ReadError, match=f"a DDS {kind}"):
            picture(data)


def test_jpeg_2000_of_several_codestreams():
    data = saved(noise((16, 16, 3)), "JPEG2000")
    assert picture(data).notes == ()
    at = data.index(b"jp2c") - 4
    stream = data[at:] if data[at : at + 4] == bytes(4) else data[at : at + int.from_bytes(data[at : at + 4], "big")]
    stream = len(stream).to_bytes(4, "big") + stream[4:]
    several = data[:at] + stream + stream
    assert picture(several).notes == ("the JPEG 2000 holds 2 pictures; the first is read",)


def box(kind, content):
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full(kind, content, version=0):
    return box(kind, bytes([version, 0, 0, 0]) + content)


def avif(items, references=()):
    """The items of an AVIF, of which number 1 is the primary one; nothing of it can be decoded."""
    entries = b"".join(full(b"infe", struct.pack(">HH4s", number, 0, kind) + b"\0", 2) for number, kind in items)
    links = b"".join(
        box(kind, struct.pack(f">HH{len(targets)}H", source, len(targets), *targets))
        for kind, source, targets in references
    )
    meta = full(
        b"meta",
        full(b"hdlr", bytes(4) + b"pict" + bytes(13))
        + full(b"pitm", struct.pack(">H", 1))
        + full(b"iinf", struct.pack(">H", len(items)) + entries)
        + full(b"iref", links),
    )
    return io.BytesIO(box(b"ftyp", b"avif" + bytes(4) + b"avifmif1") + meta + box(b"mdat", bytes(50)))


@pytest.mark.parametrize(
    ("items", "references", "noted"),
    [
        ([(1, b"av01")], [], []),
        ([(1, b"av01"), (2, b"Exif")], [(b"cdsc", 2, [1])], []),
        ([(1, b"av01"), (2, b"av01")], [(b"auxl", 2, [1])], []),
        ([(1, b"av01"), (2, b"av01")], [(b"thmb", 2, [1])], []),
        ([(1, b"grid"), (2, b"av01"), (3, b"av01")], [(b"dimg", 1, [2, 3])], []),
        ([(1, b"av01"), (2, b"tmap"), (3, b"av01")], [(b"dimg", 2, [1, 3])], ["gain map"]),
        ([(1, b"av01"), (2, b"av01"), (3, b"av01")], [(b"thmb", 3, [1])], ["holds 2 pictures"]),
    ],
)
def test_items_of_an_avif(items, references, noted):
    notes = contents.notes_on(None, "AVIF", avif(items, references))
    assert len(notes) == len(noted)
    assert all(word in note for word, note in zip(noted, notes, strict=True))


def test_plain_avif_files_hold_nothing_else():
    assert picture(saved(noise((16, 16, 4)), "AVIF")).notes == ()
    for cut in range(0, 200, 7):
        contents.notes_on(None, "AVIF", io.BytesIO(avif([(1, b"av01"), (2, b"av01")]).getvalue()[:cut]))


def test_pages_of_fax_files_are_all_read():
    pages = [noise((12, 17, 3), seed=seed) for seed in range(3)]
    files = [saved(page, "PCX") for page in pages]
    offsets = [4 + 4 * 4 + sum(map(len, files[:number])) for number in range(3)]
    data = struct.pack("<5I", 0x3ADE68B1, *offsets, 0) + b"".join(files)
    found = picture(data)
    np.testing.assert_array_equal([frame.pixels for frame in found.frames], pages)
    assert not found.outline.animated


def test_pictures_of_im_files_are_all_read():
    pages = [noise((12, 17), seed=seed) for seed in range(2)]
    head = b"Image type: Greyscale image\r\nImage size (x*y): 17*12\r\nFile size (no of images): 2\r\n"
    data = head.ljust(511, b"\0") + b"\x1a" + b"".join(page[::-1].tobytes() for page in pages)
    found = picture(data)
    np.testing.assert_array_equal([frame.pixels for frame in found.frames], pages)
