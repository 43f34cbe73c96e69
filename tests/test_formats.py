"""The table of formats, and the help, completion and errors that use it."""

import importlib.util
import io
import json
import os
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from dicoms import dicom, ramp
from heics import heics
from psds import psd
from psds import samples as psd_samples

import convfilter
from convfilter.cli.root import run
from convfilter.errors import ReadError, SizeError, WriteError
from convfilter.picture import formats, limits
from convfilter.picture.format import Format, Holds
from convfilter.picture.formats import FORMATS, TABLE, by_name, by_suffix, load, sniff
from convfilter.picture.frame import Frame
from convfilter.picture.options import ReadOptions
from convfilter.picture.picture import Picture
from convfilter.picture.read import opened, read
from convfilter.picture.write import write

ROOT = Path(convfilter.__file__).parents[1]


def test_rows_do_not_contradict_each_other():
    suffixes = [suffix for fmt in TABLE for suffix in (*fmt.suffixes, *fmt.read_suffixes)]
    assert len({fmt.name for fmt in TABLE}) == len(TABLE)
    assert len(set(suffixes)) == len(suffixes)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)
    assert all(fmt.dtypes and fmt.models and fmt.reader for fmt in TABLE)
    assert all(bool(fmt.suffixes) == bool(fmt.writer) for fmt in TABLE)
    assert all(bool(fmt.read_suffixes) == bool(fmt.instead) for fmt in TABLE)
    assert all(by_suffix("." + suffix) for fmt in TABLE for suffix in fmt.instead)
    assert all(bool(fmt.needs) <= bool(fmt.extra) for fmt in TABLE)


@pytest.mark.parametrize("fmt", TABLE, ids=lambda fmt: fmt.name)
def test_functions_of_a_row_can_be_imported(fmt):
    for function in filter(None, (fmt.reader, fmt.writer, fmt.row_writer, fmt.row_check)):
        assert callable(load(function))


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_rows_tell_which_formats_are_decoded_row_by_row(tmp_path, fmt):
    path = tmp_path / f"a{fmt.suffixes[0]}"
    shape = (6, 5) if fmt.models == ("gray",) else (6, 5, 3)
    write(path, np.zeros(shape, fmt.dtypes[0]))
    with opened(path) as picture:
        assert (picture.frames[0].lazy_rows is not None) == fmt.reads_rows


@pytest.mark.parametrize("fmt", TABLE, ids=lambda fmt: fmt.name)
def test_no_signature_identifies_another_format(fmt):
    for offset, signature in fmt.signatures:
        assert sniff((bytes(offset) + signature).ljust(32)) == fmt.name
    for brand in fmt.brands:
        assert sniff(b"\0\0\0\x18ftyp" + brand + bytes(16)) == fmt.name


def test_a_package_that_is_not_installed_is_named(tmp_path, monkeypatch):
    row = Format("LACKING", "web", (".lack",), ((0, b"lack"),), (), "r:r", "w:w", needs="nosuch", extra="more")
    monkeypatch.setitem(formats._ROWS, "LACKING", row)
    monkeypatch.setattr(formats, "TABLE", (row,))
    monkeypatch.setitem(formats._BY_SUFFIX, ".lack", row)
    (tmp_path / "a.lack").write_bytes(b"lack" * 9)
    message = r"LACKING needs the package nosuch; install it with: pip install 'convfilter\[more\]'"
    with pytest.raises(ReadError, match=message):
        read(tmp_path / "a.lack")
    with pytest.raises(WriteError, match=message):
        write(tmp_path / "b.lack", np.zeros((2, 2), np.uint8))


def test_the_command_lists_all_formats(capsys):
    assert run(["formats"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [fmt.name for fmt in TABLE]
    assert re.search(
        r"^TIFF +read, write +tif tiff +8 16 .*full +pages +yes +icc exif xmp", "\n".join(lines), re.MULTILINE
    )
    assert run(["formats", "--json"]) == 0
    listed = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert listed["PNG"]["bits"] == ["8", "16"] and listed["PNG"]["rows_read"] and listed["PNG"]["write"]
    assert listed["PSD"]["suffixes"] == [".psd", ".psb"]
    assert not listed["PSD"]["write"] and listed["GIF"]["frames"] == "animation"


def test_the_pages_list_all_formats():
    spec = importlib.util.spec_from_file_location("docs_formats", ROOT / "docs" / "formats.py")
    docs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(docs)
    assert all(fmt.name in docs.formats_table() for fmt in TABLE)
    for name in docs.PAGES:
        text = (ROOT / "docs" / f"{name}.md").read_text()
        assert docs.with_table(name, text) == text, "run: python docs/formats.py"


def picture_of(name):
    """Write a small picture of the format that an example names."""
    kinds = {".heic": heics()["8-3.heic"], ".psd": psd(psd_samples(3), 3), ".dcm": dicom(ramp(12), 12).getvalue()}
    path = Path(name)
    if path.suffix.lower() in kinds:
        path.write_bytes(kinds[path.suffix.lower()])
        return
    is_real = path.suffix in (".hdr", ".exr", ".fits")
    pixels = np.random.default_rng(1).random((12, 14, 3))
    pixels = pixels.astype(np.float32) if is_real else (pixels * 255).astype(np.uint8)
    write(name, pixels[..., 0].copy() if path.suffix in (".fits", ".tif") else pixels)


EXAMPLES = {
    line.partition("#")[0].strip()
    for page in ("README.md", "docs/formats.md")
    for line in re.findall(r"convfilter (?:blur|sharpen|apply) [^`\n]*", (ROOT / page).read_text())
    if page != "README.md" or re.search(r"\.(tif|HEIC|exr|psd|dcm|fits|hdr)\b", line)
}


@pytest.mark.parametrize("line", sorted(EXAMPLES))
def test_the_examples_of_the_pages_run(tmp_path, monkeypatch, line):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)[1:]
    source, output = (word for word in words if re.fullmatch(r"\w+\.[a-zA-Z]\w*", word))
    picture_of(source)
    assert run(words) == 0 and Path(output).exists()


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


def test_everyday_formats_import_nothing_of_the_others(tmp_path):
    write(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8))
    code = (
        "import sys, convfilter as cf\n"
        "for name in ('a.jpg', 'b.png'): cf.write(name, cf.read('a.png')); cf.read(name)\n"
        "print(*(name for name in sys.modules if name.startswith('convfilter.picture.codecs.')\n"
        "        or name.partition('.')[0] in ('pi_heif', 'OpenEXR', 'astropy', 'pydicom', 'tifffile')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_the_recipe_for_a_format_works(tmp_path, monkeypatch):
    section = (ROOT / "CONTRIBUTING.md").read_text().partition("## Add a format")[2].partition("## Add a loop")[0]
    reader, row = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    library = types.ModuleType("xyz")
    library.shape = lambda data: (2, 3, data[4])
    library.decode = lambda data: np.frombuffer(data[5:], np.uint8).reshape(2, 3, data[4])
    module = types.ModuleType("convfilter.picture.codecs.xyz")
    names = {
        "BinaryIO": io.BytesIO, "ReadOptions": ReadOptions, "Picture": Picture, "Frame": Frame, "limits": limits,
    }  # fmt: skip
    exec(reader, names)
    module.read_xyz = names["read_xyz"]
    monkeypatch.setitem(sys.modules, "xyz", library)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    library.__spec__ = importlib.util.spec_from_loader("xyz", None)
    made = eval(row.strip().rstrip(","), {"Format": Format, "Holds": Holds})
    monkeypatch.setitem(formats._ROWS, made.name, made)
    monkeypatch.setattr(formats, "TABLE", (*TABLE, made))
    (tmp_path / "a.xyz").write_bytes(b"xyz!\3" + bytes(range(18)))
    picture = read(tmp_path / "a.xyz")
    np.testing.assert_array_equal(picture.pixels.ravel(), range(18))
    assert picture.format == "XYZ"
    with pytest.raises(SizeError):
        read(tmp_path / "a.xyz", ReadOptions(max_pixels=5))
    assert run(["formats"]) == 0
