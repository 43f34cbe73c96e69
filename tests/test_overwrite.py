"""Which files outputs may replace: a second photo of a pattern, marked outputs, -n, -y and -o."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import convfilter as cf
from convfilter.cli.root import run

BLUR = ("blur", "--box", "3")
MARKED = ("a.jpg", "a.png", "a.tif", "a.gif")
REFUSED = "exists and convfilter did not write it; did a pattern match two files? --overwrite replaces it\n"
SAMPLES = np.random.default_rng(1).integers(0, 256, (12, 17), np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (*MARKED, "a.bmp", "b.jpg"):
        Image.fromarray(SAMPLES).save(name)
    return tmp_path


@pytest.mark.parametrize("name", MARKED)
def test_a_second_photo_is_no_output(capfd: pytest.CaptureFixture[str], name: str) -> None:
    second = Path(name).with_stem("b")
    Image.fromarray(SAMPLES).save(second)
    before = second.read_bytes()
    for options in ((), ("--json",)):
        assert run([*BLUR, *options, name, str(second)]) == 2
        assert capfd.readouterr().err == f"convfilter: {second}: it {REFUSED}"
    assert second.read_bytes() == before
    assert run([*BLUR, "-y", name, str(second)]) == 0
    assert second.read_bytes() != before


def test_the_formats_that_tell_who_wrote_a_file_are_those_of_the_documentation() -> None:
    from convfilter.picture import formats
    from convfilter.picture.metadata.mark import mark_of

    assert {fmt.name for fmt in formats.FORMATS if mark_of(fmt)} == {"PNG", "JPEG", "TIFF", "GIF"}
    page = (Path(__file__).parents[1] / "docs/makefiles.md").read_text()
    assert "Only PNG, JPEG, TIFF and GIF have a field" in " ".join(page.split())


@pytest.mark.parametrize("name", [*MARKED, "a.bmp", "a.webp", "a.ppm"])
@pytest.mark.parametrize("options", [(), ("--strip=all",)])
def test_a_second_build_is_not_refused_and_gives_the_same_bytes(name: str, options: tuple[str, ...]) -> None:
    Image.fromarray(SAMPLES).save(name)
    output = Path(name).with_stem("out")
    assert run([*BLUR, *options, name, str(output)]) == 0
    before = output.read_bytes()
    assert run([*BLUR, *options, name, str(output)]) == 0
    assert output.read_bytes() == before
    assert (b"Software" in before or b"convfilter" in before) == (name in MARKED)


def test_a_second_build_is_not_refused_where_the_input_names_a_program(capfd: pytest.CaptureFixture[str]) -> None:
    """The field of a TIFF, the text of a PNG and the EXIF of a JPEG that name the program that wrote the input."""
    tiff = {305: "a scanner's", 270: "by me"}
    Image.fromarray(SAMPLES).save("a.tif", tiffinfo=tiff)
    named = PngInfo()
    named.add_text("Software", "a scanner's")
    Image.fromarray(SAMPLES).save("a.png", pnginfo=named)
    exif = Image.Exif()
    exif.update(tiff)
    Image.fromarray(SAMPLES).save("a.jpg", exif=exif)
    for suffix in ("tif", "png", "jpg"):
        for _ in range(2):
            assert run([*BLUR, f"a.{suffix}", f"out.{suffix}"]) == 0, suffix
        assert cf.read(f"out.{suffix}").metadata.marked
    with Image.open("out.tif") as made, Image.open("out.jpg") as jpeg:
        assert (made.tag_v2[305], made.tag_v2[270]) == ("convfilter", "by me")
        assert jpeg.getexif()[305] == "a scanner's"


def test_the_mark_of_a_tiff_is_no_exif(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*BLUR, "a.png", "out.tif"]) == 0
    assert cf.read("out.tif").metadata.exif is None
    assert run([*BLUR, "--strict", "out.tif", "out.bmp"]) == 0
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("source", "there", "arguments"),
    [
        ("a.jpg", "sub/b.jpg", ("a.jpg", "sub/b.jpg")),  # another folder
        ("a.jpg", "b.png", ("a.jpg", "b.png")),  # another suffix
        ("a.jpg", "sub/a.jpg", ("a.jpg", "sub")),  # a folder is meant
        ("a.jpg", "b.jpg", ("a.jpg", "-o", "b.jpg")),  # named as the output
        ("a.jpg", "b.jpg", ("--overwrite", "a.jpg", "b.jpg")),
        ("a.bmp", "b.bmp", ("a.bmp", "b.bmp")),  # BMP has no field for the program
    ],
)
def test_intended_overwriting_succeeds(source: str, there: str, arguments: tuple[str, ...]) -> None:
    Path("sub").mkdir()
    Image.fromarray(SAMPLES).save(there)
    before = Path(there).read_bytes()
    assert run([*BLUR, *arguments]) == 0
    assert Path(there).read_bytes() != before


def test_damaged_photos_are_kept_and_files_that_are_none_are_not() -> None:
    for content in (Path("a.png").read_bytes()[:40], bytes(128) + b"DICM" + bytes(9)):
        Path("b.png").write_bytes(content)
        assert run([*BLUR, "a.png", "b.png"]) == 2
    for content in (b"", b"no picture at all, but text that is long enough"):  # mktemp leaves an empty file
        Path("b.png").write_bytes(content)
        assert run([*BLUR, "a.png", "b.png"]) == 0


def test_marks_of_inputs_are_not_kept_as_texts() -> None:
    """In a chain of formats, the mark never becomes a text of the user, and its loss has no note."""
    Image.fromarray(SAMPLES).save("a.jpg", comment=b"by me")
    for source, output in (("a.jpg", "b.jpg"), ("b.jpg", "c.png"), ("c.png", "e.jpg"), ("c.png", "d.tif")):
        assert run([*BLUR, "-y", source, output]) == 0
    picture = cf.read("e.jpg")
    assert [text.value for text in picture.metadata.text] == ["by me"]
    assert picture.metadata.marked
    assert Path("e.jpg").read_bytes().count(b"Software: convfilter") == 1
    with Image.open("c.png") as png, Image.open("d.tif") as tiff:
        assert (png.text["Software"], tiff.tag_v2[305]) == ("convfilter", "convfilter")


def test_a_lost_mark_is_not_reported(capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*BLUR, "a.png", "out.png"]) == 0
    assert run([*BLUR, "--strict", "out.png", "out.bmp"]) == 0
    assert capfd.readouterr().err == ""


def test_no_clobber_keeps_existing_files(capfd: pytest.CaptureFixture[str]) -> None:
    before = Path("b.jpg").read_bytes()
    assert run([*BLUR, "-n", "a.jpg", "b.jpg"]) == 0
    assert capfd.readouterr().err == "convfilter: b.jpg: skipped, since it exists (--no-clobber)\n"
    assert Path("b.jpg").read_bytes() == before
    assert run([*BLUR, "-n", "a.jpg", "b.jpg", "--into", "out"]) == 0
    Path("out/a.jpg").unlink()
    capfd.readouterr()
    assert run([*BLUR, "-n", "a.jpg", "b.jpg", "--into", "out"]) == 0
    assert capfd.readouterr().err.startswith("convfilter: 1 done, 0 failed, 1 there already")
    Path("convfilter.toml").write_text("no-clobber = true\n")
    assert run([*BLUR, "a.jpg", "b.jpg"]) == 0
    assert Path("b.jpg").read_bytes() == before
    assert run([*BLUR, "-y", "a.jpg", "b.jpg"]) == 0  # the command line wins
    assert Path("b.jpg").read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-n -y a.jpg b.jpg", "--no-clobber keeps existing outputs, --overwrite replaces them"),
        ("-n --in-place a.jpg", "--no-clobber keeps existing outputs, --in-place replaces them"),
        ("-o b.jpg --into out a.jpg", "--output names the output; leave out --into"),
        ("-o b.jpg --in-place a.jpg", "--output names the output; leave out --in-place"),
        ("-o b.jpg a.jpg a.png", "b.jpg: several inputs, or a folder, need a folder as output, and this is a file"),
    ],
)
def test_options_that_exclude_each_other(capfd: pytest.CaptureFixture[str], arguments: str, message: str) -> None:
    assert run([*BLUR, *arguments.split()]) == 2
    assert message in capfd.readouterr().err


def test_output_takes_a_folder_for_several() -> None:
    assert run([*BLUR, "-o", "out/", "a.jpg", "b.jpg"]) == 0
    assert sorted(path.name for path in Path("out").iterdir() if path.suffix) == ["a.jpg", "b.jpg"]
    assert run([*BLUR, "--suffix", "_x", "-o", "out", "a.jpg", "b.jpg"]) == 0
    assert Path("out/a_x.jpg").exists()


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_the_pixels_of_the_output_that_is_there_are_not_decoded(name: str) -> None:
    output = Path(name).with_stem("out")
    Image.fromarray(np.zeros((3000, 3000), np.uint8)).save("large.png")
    assert run([*BLUR, "large.png", "-o", str(output)]) == 0
    tracemalloc.start()
    try:
        assert run([*BLUR, name, str(output)]) == 0
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_a_marked_output_above_the_usual_limit_of_pixels_is_replaced() -> None:
    assert run([*BLUR, "a.png", "large.png"]) == 0
    data = bytearray(Path("large.png").read_bytes())
    data[16:24] = struct.pack(">II", 20_000, 20_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    Path("large.png").write_bytes(data)
    assert run([*BLUR, "a.png", "large.png"]) == 2
    assert run([*BLUR, "--max-pixels", "4e8", "a.png", "large.png"]) == 0
