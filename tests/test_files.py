"""From file to file: pictures of every kind come through an identity filter whole, or not at all."""

import io

import numpy as np
import pytest
from PIL import Image
from processes import run_python
from samples import wide_noise as noise

from convfilter.errors import ConvfilterError, ReadError, WriteError
from convfilter.picture.frame import Frame
from convfilter.picture.options import WriteOptions
from convfilter.picture.picture import Picture
from convfilter.picture.read import ReadOptions, read
from convfilter.picture.write import write
from convfilter.pipeline import Options, filter_file

IDENTITY = ["box:1"]


def opaque(pixels):
    """Pixels without hidden colours, which no filter keeps."""
    pixels = pixels.copy()
    pixels[pixels[..., -1] == 0] = 0
    return pixels


@pytest.mark.parametrize("shape", [(11, 13), (11, 13, 2), (11, 13, 3), (11, 13, 4)])
@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [("png", np.uint8), ("png", np.uint16), ("tif", np.uint8), ("tif", np.uint16), ("tif", np.float32)],
)
def test_every_kind_comes_through(tmp_path, suffix, dtype, shape):
    pixels = noise(shape, dtype)
    alpha = pixels.ndim == 3 and shape[2] in (2, 4)
    if alpha and dtype == np.float32:
        pixels[..., -1] = 1
    pixels = opaque(pixels) if alpha else pixels
    write(tmp_path / f"in.{suffix}", pixels)
    report = filter_file(str(tmp_path / f"in.{suffix}"), str(tmp_path / f"out.{suffix}"), Options(IDENTITY))
    picture = read(tmp_path / f"out.{suffix}")
    assert picture.pixels.dtype == dtype
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert np.dtype(dtype).name in report.after


@pytest.mark.parametrize("suffix", ["png", "gif", "tif"])
def test_every_frame_comes_through(tmp_path, suffix):
    frames = [np.kron(noise((4, 5)) % 3, np.ones((2, 2), np.uint8)) * 100 for _ in range(3)]
    write(tmp_path / f"in.{suffix}", Picture([Frame(frame, (3, 10)) for frame in frames], "gray"))
    filter_file(str(tmp_path / f"in.{suffix}"), str(tmp_path / f"out.{suffix}"), Options(IDENTITY))
    picture = read(tmp_path / f"out.{suffix}")
    assert len(picture.frames) == 3
    for frame, pixels in zip(picture.frames, frames, strict=True):
        np.testing.assert_array_equal(frame.pixels, pixels)
    with pytest.raises(WriteError, match="frame=N"):
        filter_file(str(tmp_path / f"in.{suffix}"), str(tmp_path / "out.jpg"), Options(IDENTITY))
    chosen = Options(IDENTITY, read=ReadOptions(frame=1))
    filter_file(str(tmp_path / f"in.{suffix}"), str(tmp_path / "out.jpg"), chosen)
    assert not (tmp_path / "out.png").exists() or suffix == "png"


def test_a_failure_leaves_the_old_output(tmp_path):
    (tmp_path / "out.png").write_bytes(b"old")
    for name, content in (("cut.png", b"\x89PNG\r\n\x1a\n"), ("text.png", b"hello"), ("empty.png", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ReadError):
            filter_file(str(tmp_path / name), str(tmp_path / "out.png"), Options(IDENTITY))
    write(tmp_path / "in.png", noise((4, 4, 4)))
    with pytest.raises(WriteError, match="with background"):
        filter_file(str(tmp_path / "in.png"), str(tmp_path / "out.jpg"), Options(IDENTITY))
    assert (tmp_path / "out.png").read_bytes() == b"old"
    assert not (tmp_path / "out.jpg").exists()


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "tif", "webp", "gif", "avif", "jp2", "bmp", "ppm", "pam", "tga", "sgi"]
)
def test_full_disk_leaves_the_old_file(tmp_path, suffix):
    """A limit on the size of files acts like a full disk: every writer reaches it in the middle of a file."""
    target = tmp_path / f"a.{suffix}"
    target.write_bytes(b"old")
    script = (
        "import resource\n"
        "import numpy as np\n"
        "from convfilter.errors import WriteError\n"
        "from convfilter.picture.write import write\n"
        "pixels = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "try:\n"
        f"    write({str(target)!r}, pixels)\n"
        "except WriteError as error: print(error)\n"
    )
    assert run_python(script) == "the file would be larger than the limit for files\n"
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_nothing_reaches_the_terminal_raw(tmp_path, capfd):
    """Libraries warn on standard error, some of them from C."""
    damaged = []
    for fmt in ("PNG", "JPEG", "TIFF", "WebP", "GIF", "BMP", "JPEG2000", "AVIF"):
        buffer = io.BytesIO()
        Image.fromarray(noise((40, 40, 3))).save(buffer, fmt)
        data = bytearray(buffer.getvalue())
        damaged.append(bytes(data[: len(data) * 2 // 3]))
        data[len(data) // 2 : len(data) // 2 + 8] = b"\xff\x00\xd9\xaa" * 2
        damaged.append(bytes(data))
    for data in damaged:
        for lenient in (False, True):
            try:
                read(io.BytesIO(data), ReadOptions(lenient=lenient))
            except ConvfilterError:
                continue
    assert capfd.readouterr() == ("", "")


def test_background_of_a_filtered_picture(tmp_path):
    pixels = np.zeros((6, 6, 4), np.uint8)
    pixels[..., 0] = 255
    pixels[..., 3] = 51
    write(tmp_path / "in.png", pixels)
    options = Options(IDENTITY, write=WriteOptions(background="blue"))
    filter_file(str(tmp_path / "in.png"), str(tmp_path / "out.bmp"), options)
    picture = read(tmp_path / "out.bmp")
    assert not picture.alpha
    np.testing.assert_array_equal(picture.pixels[0, 0], [51, 0, 204])
