"""``convfilter.read`` and ``convfilter.write``: arguments, and the file that an error names."""

import errno
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import convfilter
from convfilter import ParameterError, PictureError, ReadError, SizeError, UsageError, WriteError

GRAY = np.random.default_rng(1).integers(0, 256, (5, 7), np.uint8)


@pytest.mark.parametrize(
    ("call", "error", "name", "number", "message"),
    [
        (lambda: convfilter.read("none.png"), ReadError, "none.png", errno.ENOENT, "there is no such file"),
        (lambda: convfilter.read(Path("none.png")), ReadError, "none.png", errno.ENOENT, "there is no such file"),
        (lambda: convfilter.read("."), ReadError, ".", errno.EISDIR, "it is a folder, a picture file is needed"),
        (lambda: convfilter.read("empty.png"), ReadError, "empty.png", None, "the file is empty"),
        (
            lambda: convfilter.read("five.pgm", convfilter.ReadOptions(max_pixels=1)),
            SizeError, "five.pgm", None, "the picture is too large: 7x5",
        ),
        (
            lambda: convfilter.write("none/out.png", GRAY),
            WriteError, "none/out.png", errno.ENOENT, "there is no folder ",
        ),
        (
            lambda: convfilter.write("folder.png", GRAY),
            WriteError, "folder.png", errno.EISDIR, "the output is a folder; give it a file name",
        ),
    ],
)  # fmt: skip
def test_errors_name_the_file_and_hold_the_number(call, error, name, number, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty.png").touch()
    Path("folder.png").mkdir()
    convfilter.write("five.pgm", GRAY)
    with pytest.raises(error) as caught:
        call()
    for found in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert str(found).startswith(f"{name}: {message}")
        assert (found.filename, found.errno) == (name, number)
        assert isinstance(found, PictureError)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_protected_file_is_no_permission(tmp_path):
    (tmp_path / "out.png").touch(0o400)
    with pytest.raises(WriteError) as caught:
        convfilter.write(tmp_path / "out.png", GRAY)
    assert caught.value.errno == errno.EACCES


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: convfilter.write(GRAY, "out.png"),
            "write takes the path first, then the picture: write('out.png', picture); got ndarray first",
        ),
        (lambda: convfilter.write("out.png", "in.png"), "out.png: a picture is an array or a Picture, got str"),
        (
            lambda: convfilter.write("out.png", GRAY.astype(int)),
            "out.png: a picture holds no samples of int64; convert it with astype('float64')",
        ),
        (lambda: convfilter.read(b"P5 1 1 255 x"), "read takes a path or an open file, got bytes; wrap them: "),
        (lambda: convfilter.read(GRAY), "read takes a path or an open file, got ndarray"),
    ],
)
def test_misplaced_arguments_are_refused_with_a_sentence(call, message):
    with pytest.raises(ParameterError) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_a_suffix_that_nobody_knows_is_no_error_of_the_picture():
    with pytest.raises(UsageError, match=r"^out\.tga9: .*suffix") as caught:
        convfilter.write("out.tga9", GRAY)
    assert not isinstance(caught.value, PictureError)


@pytest.mark.parametrize(
    ("array", "samples"),
    [
        (GRAY > 100, (GRAY > 100) * 255),
        (GRAY / 255, GRAY * np.uint16(257)),  # PNG keeps 16 bits of a floating-point sample
        ((GRAY / 255).astype(np.float16), None),
    ],
)
def test_masks_and_real_numbers_are_written(array, samples, tmp_path):
    convfilter.write(tmp_path / "out.png", array)
    found = convfilter.read(tmp_path / "out.png").pixels
    if samples is None:
        np.testing.assert_allclose(found / 65535, array, atol=1e-5)
    else:
        np.testing.assert_array_equal(found, samples)


def test_options_are_public(tmp_path):
    best = convfilter.WriteOptions(format="jpeg", quality=30)
    convfilter.write(tmp_path / "small", GRAY, best)
    assert convfilter.read(tmp_path / "small").format == "JPEG"
    with open(tmp_path / "small", "rb") as file:
        held = io.BytesIO(file.read())
    np.testing.assert_array_equal(convfilter.read(held).pixels, convfilter.read(tmp_path / "small").pixels)
