"""The table of formats."""

import numpy as np
import pytest

from convfilter.picture.formats import FORMATS, by_name, by_suffix, sniff


def test_rows_do_not_contradict_each_other():
    suffixes = [suffix for fmt in FORMATS for suffix in fmt.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)
    assert all(fmt.dtypes and fmt.models for fmt in FORMATS)


@pytest.mark.parametrize("name", ["jpeg", "JPEG", "jpg", ".jpg", "jfif"])
def test_names(name):
    assert by_name(name).name == "JPEG"
    assert by_name("none") is None


def test_suffixes():
    assert by_suffix(".TIF").name == "TIFF"
    assert by_suffix("") is None


@pytest.mark.parametrize(
    ("name", "wanted", "stored"),
    [
        ("PNG", "float32", "uint16"),
        ("PNG", "uint8", "uint8"),
        ("JPEG", "uint16", "uint8"),
        ("TIFF", "float32", "float32"),
        ("PFM", "uint8", "float32"),
    ],
)
def test_depth_that_is_stored(name, wanted, stored):
    assert by_name(name).dtype_for(np.dtype(wanted)) == np.dtype(stored)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xdb", "JPEG"),
        (b"MM\0+", "TIFF"),
        (b"RIFF\0\0\0\0WEBP", "WebP"),
        (b"P6\n", "PNM"),
        (b"P6x", None),
        (b"Perfectly ordinary text", None),
        (b"PFM is a format", None),
        (b"", None),
    ],
)
def test_content_tells(head, name):
    assert sniff(head) == name
