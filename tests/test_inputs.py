"""Names of inputs from people and other programs: lists with byte-order marks, files named twice, tiny files."""

from __future__ import annotations

import codecs
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from processes import run_bytes, untimed

import convfilter
from convfilter.batch import inputs
from convfilter.batch.search import Naming, is_output
from convfilter.cli import synonyms
from convfilter.cli.commands import COMMANDS
from convfilter.cli.root import run
from convfilter.errors import ReadError, UsageError

SAMPLES = np.random.default_rng(2).integers(0, 256, (9, 11), np.uint8)
NAMES = ["a.png", "b é.png"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        Image.fromarray(SAMPLES).save(name)
    return tmp_path


def test_a_folder_is_listed_by_name_whatever_the_file_system_says(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    entries = os.scandir

    class Backwards:
        def __init__(self, folder: str) -> None:
            with entries(folder) as found:
                self._entries = sorted(found, key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self._entries

        def __exit__(self, *_unused: object) -> None: ...

    monkeypatch.setattr(os, "scandir", Backwards)
    assert run(["blur", "--box", "3", "--dry-run", ".", "out"]) == 0
    assert [line.split(" -> ")[0] for line in capfd.readouterr().out.splitlines()] == [f"./{name}" for name in NAMES]


LISTS = {
    "plain": "a.png\nb é.png\n".encode(),
    "without an end": "a.png\nb é.png".encode(),
    "mark": codecs.BOM_UTF8 + "a.png\nb é.png\n".encode(),
    "CRLF": "a.png\r\nb é.png\r\n\r\n".encode(),
    "mark and CRLF": codecs.BOM_UTF8 + "a.png\r\nb é.png\r\n".encode(),
    "UTF-16, little end": codecs.BOM_UTF16_LE + "a.png\r\nb é.png\r\n".encode("utf-16-le"),
    "UTF-16, big end": codecs.BOM_UTF16_BE + "a.png\nb é.png\n".encode("utf-16-be"),
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists_as_editors_and_shells_write_them(kind: str) -> None:
    Path("list.txt").write_bytes(LISTS[kind])
    assert inputs.read_list("list.txt") == NAMES
    assert run(["blur", "--box", "3", "--files-from", "list.txt", "--into", "out"]) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [".convfilter_log", *NAMES]


def test_a_mark_before_names_that_end_with_zero_bytes() -> None:
    Path("list.txt").write_bytes(codecs.BOM_UTF8 + "a.png\0b é.png\0".encode())
    assert inputs.read_list("list.txt", separator="\0") == NAMES


def test_malformed_lists_are_refused() -> None:
    Path("list.txt").write_bytes(codecs.BOM_UTF16_LE + b"abc")
    with pytest.raises(UsageError, match="begins as UTF-16 but is not"):
        inputs.read_list("list.txt")


def test_a_file_that_is_named_twice_is_taken_once(capfd: pytest.CaptureFixture[str]) -> None:
    Path("sub").mkdir()
    Image.fromarray(SAMPLES).save("sub/c.png")
    names = ["a.png", "b é.png", "./a.png", os.path.abspath("a.png"), "sub/c.png", "sub", "a.png"]
    assert run(["blur", "--box", "3", "--dry-run", *names, "--into", "out"]) == 0
    assert capfd.readouterr().out.splitlines() == [
        "a.png -> out/a.png",
        "b é.png -> out/b é.png",
        "sub/c.png -> out/c.png",
    ]
    assert run(["blur", "--box", "3", *names, "--into", "out"]) == 0
    assert untimed(capfd.readouterr().err).endswith("3 done, 0 failed\n")
    assert run(["blur", "--box", "3", "--in-place", "a.png", "b é.png", "a.png"]) == 0
    np.testing.assert_array_equal(convfilter.read("a.png").pixels, convfilter.box_blur(SAMPLES, 3))
    os.link("a.png", "sub/a.png")
    Image.fromarray(SAMPLES).save("sub/b é.png")
    assert run(["blur", "--box", "3", "a.png", "b é.png", "sub/b é.png", "--into", "out"]) == 2
    assert "would both be written to" in capfd.readouterr().err


@pytest.mark.parametrize("content", [b"P", b"II", b"\x89PN", b"\xff\xd8\xff", b"BM", b"GI", b"\0\0\0", b"abc"])
def test_files_of_one_to_three_bytes(content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    Path("t.png").write_bytes(content)
    plural = "s" if len(content) > 1 else ""
    message = f"the file has {len(content)} byte{plural}, too few for a picture"
    assert run(["blur", "--box", "3", "t.png", "out.png"]) == 1
    assert capfd.readouterr().err == f"convfilter: t.png: {message}\n"
    with pytest.raises(ReadError, match=message):
        convfilter.read(io.BytesIO(content))


@pytest.mark.parametrize("content", [b"BM" + bytes(2), b"BM" + bytes(9), b"\0\0\1\0\1", b"\x0a\5\1\1"])
def test_a_picture_of_few_bytes_is_no_error_of_struct(content: bytes) -> None:
    with pytest.raises(ReadError) as caught:
        convfilter.read(io.BytesIO(content))
    assert "unpack" not in str(caught.value)


# Times ------------------------------------------------------------------------


LONG_AGO = 1_000_000_000_123_456_789


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["a.png", "out.png"], "out.png"),
        (["a.png", "out.npy"], "out.npy"),
        (["--in-place", "a.png"], "a.png"),
        (["a.png", "b é.png", "--into", "out"], "out/a.png"),
        (["-j", "2", ".", "out"], "out/a.png"),
        (["--sheet", "a.png", "out.png"], "out.png"),
    ],
)
def test_the_time_of_the_input_is_kept(arguments: list[str], output: str) -> None:
    os.utime("a.png", ns=(LONG_AGO + 1, LONG_AGO))
    assert run(["blur", "--box", "3", "--keep-time", *arguments]) == 0
    assert os.stat(output).st_mtime_ns == LONG_AGO


def test_without_the_option_the_time_is_now() -> None:
    os.utime("a.png", ns=(LONG_AGO, LONG_AGO))
    assert run(["blur", "--box", "3", "a.png", "out.png"]) == 0
    assert os.stat("out.png").st_mtime_ns > LONG_AGO


def test_kept_times_are_up_to_date(capfd: pytest.CaptureFixture[str]) -> None:
    os.utime("a.png", ns=(LONG_AGO, LONG_AGO))
    arguments = ["blur", "--box", "3", "--update", "--into", "out", "a.png"]
    assert run([*arguments, "--keep-time"]) == 0
    assert run([*arguments, "--keep-time"]) == 0
    assert "1 up to date" in capfd.readouterr().err
    assert run(arguments) == 0
    assert "1 done" in capfd.readouterr().err


def blur(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[bytes]:
    return run_bytes("blur", "--box", "3", "--keep-time", *arguments, **settings)


@pytest.mark.parametrize(("source", "output"), [("a.png", "-"), ("-", "out.png"), ("a.png", "/dev/null")])
def test_only_files_have_times_to_keep(source: str, output: str) -> None:
    done = blur("--format", "png", source, output, input=Path("a.png").read_bytes())
    assert done.returncode == 2
    message = f"convfilter: only files have times to keep, got {source} and {output}; leave out --keep-time"
    assert done.stderr.decode().startswith(message)
    assert not done.stdout and not Path("out.png").exists()


def test_a_standard_input_that_is_a_file_has_a_time() -> None:
    os.utime("a.png", ns=(LONG_AGO, LONG_AGO))
    with open("a.png", "rb") as file:
        assert blur("-", "out.png", stdin=file).returncode == 0
    assert os.stat("out.png").st_mtime_ns == LONG_AGO


# Words that people type ---------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("blur --sigma 3 a.png out.png", "no such option '--sigma'; did you mean --gaussian SIGMA?"),
        ("negate a.png out.png", "no command is called 'negate'; did you mean 'convfilter apply -f invert'?"),
        ("denoise a.png out.png", "did you mean 'convfilter blur --bilateral SIGMA_SPACE,SIGMA_RANGE'?"),
        ("convert a.png out.png", "did you mean 'convfilter from LINE'?"),
        ("version", "did you mean 'convfilter --version'?"),
        ("apply -f silu a.png out.png", "no filter is called 'silu'; did you mean swish?"),
        ("apply -f gabor:4,theta=30 a.png out.png", "gabor has no parameter 'theta'; did you mean angle?"),
        ("apply -f box:3,mode=wrap a.png out.png", "box has no parameter 'mode'; did you mean padding_mode?"),
        ("apply -f box:radius=2 a.png out.png", "box has no parameter 'radius'; did you mean size?"),
        ("apply -f gaussian:radius=2 a.png out.png", "gaussian has no parameter 'radius'; did you mean sigma?"),
        (
            "apply -f box:3,strde=2 a.png out.png",
            "box has no parameter 'strde'; did you mean stride? its parameters are size",
        ),
        ("blur --size 3 a.png out.png", "no such option '--size'; did you mean --box SIZE?"),
        ("blur --gausian 3 a.png out.png", "did you mean --gaussian?"),
        ("sharpen --radius 3 a.png out.png", "did you mean --sigma?"),
        ("pool --size 3 a.png out.png", "did you mean --max SIZE, --min SIZE or --average SIZE?"),
        ("convolve --matrix 1 a.png out.png", "did you mean --kernel?"),
        ("edges --magnitude a.png out.png", "did you mean --sobel magnitude?"),
        ("apply --kernel 1 a.png out.png", "did you mean -f kernel:FILE?"),
        ("blur --box 3 a.png --out out.png", "did you mean --output, or OUT, the last name?"),
        ("blur --box 3 --border wrap a.png out.png", "did you mean --padding-mode?"),
        ("blur --median 3 a.png out.png", "did you mean convfilter rank --median SIZE?"),
        ("blur --box 3 --nodata 0 a.png out.png", "did you mean --nan?"),
        ("rank --radius 3 a.png out.png", "did you mean --median SIZE, or --median disk:RADIUS?"),
        ("rank --min 3 a.png out.png", "did you mean convfilter morph --erode SIZE?"),
        ("morph --ksize 3 a.png out.png", "did you mean --erode SIZE, --dilate SIZE, --open SIZE or --close SIZE?"),
        ("morph --iterations 2 a.png out.png", "did you mean convfilter apply -f erode:SIZE -f erode:SIZE?"),
        ("compare --fuzz 2 a.png out.png", "did you mean --max-difference?"),
        ("compare --workers 2 a.png out.png", "no such option '--workers'"),
        ("plan --input-size 3 -f box:3", "did you mean --size?"),
        ("plan --sige 3", "did you mean --size or --stride?"),
        (
            "gaussian 3 a.png out.png",
            "no command is called 'gaussian'; did you mean 'convfilter blur --gaussian SIGMA'?",
        ),
        ("Gaussian-Blur", "did you mean 'convfilter blur --gaussian SIGMA'?"),
        ("sobel a.png out.png", "did you mean 'convfilter edges --sobel magnitude'?"),
        ("bilateral a.png out.png", "did you mean 'convfilter blur --bilateral SIGMA_SPACE,SIGMA_RANGE'?"),
        (
            "nlmeans a.png out.png",
            "no command is called 'nlmeans'; convfilter has no such filter; the nearest are",
        ),
        ("emboss a.png out.png", "did you mean 'convfilter apply -f emboss'?"),
        ("erode a.png out.png", "did you mean 'convfilter morph --erode SIZE'?"),
        ("a.png out.png", "a command comes before the names of files, as in 'convfilter blur --gaussian 4 IN OUT'"),
        ("apply gaussian:4 a.png out.png", "or the @NAME of a pipeline; did you mean -f 'gaussian:4'?"),
        ("edges --sobel a.png out.png", "--sobel takes a value before the names of files (x|y|magnitude"),
        ("blur --gaussian a.png out.png", "--gaussian takes a value before the names of files (SIGMA), got 'a.png'"),
        ("help padding", "no command is called 'padding'; --padding is an option of filters: 'convfilter help blur'"),
        ("padding-mode", "--padding-mode is an option of filters"),
        ("none.jpg out.png", "a command comes before the names of files"),
        ("blrr", "did you mean blur? the commands are blur, edges,"),
    ],
)
def test_the_right_word_is_suggested(typed: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(typed.split()) == 2
    said = capfd.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_suggestions_are_commands_and_options_that_there_are(capfd: pytest.CaptureFixture[str]) -> None:
    for line in synonyms.COMMANDS.keys() - {"--version"}:
        assert line.split()[0] in COMMANDS
    for command, table in synonyms.OPTIONS_OF.items():
        capfd.readouterr()
        run([command, "--help"])
        text = capfd.readouterr().out
        for meaning, words in table.items():
            for word in [each.strip(",") for each in meaning.split() if each.startswith("--")]:
                assert word in text or "convfilter" in meaning, (command, word)
            for word in words.split():
                assert f" {word} " not in text.replace(",", " "), (command, word)


def test_pool_keeps_the_least() -> None:
    assert run(["pool", "--min", "3", "--stride", "1", "--padding", "1", "a.png", "out.png"]) == 0
    expected = convfilter.min_pool(SAMPLES, 3, stride=1, padding=1)
    np.testing.assert_array_equal(convfilter.read("out.png").pixels, expected)
    assert run(["pool", "--min", "3", "--max", "3", "a.png", "out.png"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "a.png outdir",
            "'outdir' has no suffix, which would tell the format; write outdir/ for a folder, outdir.png for a picture",
        ),
        ("a.png {o}", "'{o}' has no suffix, which would tell the format; write NAME/ for a folder, NAME.png for a"),
        ("a.png *.jpgg out/", "*.jpgg: no file matches this pattern"),
        ("*.jpgg --into out", "*.jpgg: no file matches this pattern"),
        ("--in-place *.jpgg", "*.jpgg: no file matches this pattern"),
        ("-photo.png out.png", "-photo.png: a name that begins with - is written './-photo.png'"),
        ("a.png out.jgp", "no picture format has the suffix '.jgp'; the nearest are .jp"),
        ("a.png out.docx", "the nearest are .pcx, .png, .jpg; 'convfilter formats' lists all; or use --format"),
        ("--ext tifff a.png --into out", "no picture format has the suffix '.tifff'; the nearest are .tiff, .tif"),
        ("a.png a.png new", "new: there is no such folder; several inputs need one: create it, or write new/"),
    ],
)
def test_mistyped_names_get_a_hint(arguments: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["blur", "--box", "3", *arguments.split()]) == 2
    text = capfd.readouterr().err
    assert message in text and text.count("\n") == 1
    assert len(text) < 250


def test_a_file_that_is_named_like_a_pattern_is_a_file() -> None:
    Path("a.png").rename("[a].png")
    assert run(["blur", "--box", "3", "[a].png", "out.png"]) == 0
    assert Path("out.png").exists()


def test_a_pipe_with_a_format() -> None:
    command = [sys.executable, "-m", "convfilter", "blur", "--box", "3", "png:-", "bmp:-"]
    environment = {**os.environ, "PYTHONPATH": str(Path(convfilter.__file__).parent.parent)}
    done = subprocess.run(command, input=Path("a.png").read_bytes(), capture_output=True, check=True, env=environment)
    assert done.stdout.startswith(b"BM")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("apply -f usm:2 a.png out.png", "no filter is called 'usm'; did you mean unsharp?"),
        ("apply -f mean:3 a.png out.png", "did you mean box?"),
        ("apply -f nlmeans a.png out.png", "the nearest is bilateral:3"),
        ("apply -f grayscale a.png out.png", "grey is an option, not a filter: --gray"),
        ("apply -f gausian:2 a.png out.png", "did you mean gaussian?"),
        ("blur --box 3 --padding-mode mirror a.png out.png", "mirror in SciPy is reflect here"),
        ("blur --box 3 --padding-mode replicate a.png out.png", "replicate in PyTorch and OpenCV is edge here"),
        ("blur --box 3 --padding-mode zeros a.png out.png", "zeros are constant here, with --padding-value 0"),
        ("blur --box 3 --padding-mode reflct a.png out.png", "got 'reflct'; did you mean reflect?"),
        ("apply -f box:3,padding_mode=nearest a.png out.png", "nearest in SciPy is edge here"),
        ("edges --sobel horizontal a.png out.png", "x changes along the rows"),
        ("blur --box 3 --map normalise a.png out.png", "map must be one of clip, abs, offset, stretch"),
        ("blur --box 3 --subsampling 4:2:1 a.png out.jpg", "did you mean 4:2:2?"),
        ("kernel list dilation", "did you mean dilate?"),
    ],
)
def test_words_of_other_programs(arguments: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(arguments.split()) == 2
    assert message in capfd.readouterr().err


def test_every_synonym_leads_to_a_filter_or_a_word_that_is_there() -> None:
    from convfilter.filters import synonyms
    from convfilter.filters.catalog import FILTERS

    assert set(synonyms.FILTERS) <= set(FILTERS)
    words = [word for row in synonyms.FILTERS.values() for word in row.split()]
    assert len(words) == len(set(words)) and not set(words) & set(FILTERS)
    assert not set(synonyms.PHRASES) & {*FILTERS, *words}


def test_functions_suggest_padding_modes_too() -> None:
    with pytest.raises(convfilter.ParameterError, match="mirror in SciPy is reflect here"):
        convfilter.box_blur(SAMPLES, 3, padding_mode="mirror")


def test_outputs_of_an_earlier_run_are_known_by_their_suffix() -> None:
    beside = Naming(suffix="_blur")
    assert is_output("a/b_blur.png", beside)
    assert not is_output("a/b.png", beside)
    assert not is_output("a_blur/b.png", beside)
    assert not is_output("a/b_blur.png", Naming(folder="out", suffix="_blur"))
