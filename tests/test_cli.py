"""The command line, end to end: files, output, errors, exit statuses."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from PIL import Image
from processes import PROGRAM, start_python
from processes import run_bytes as program

import convfilter
from convfilter.cli.commands import COMMANDS
from convfilter.cli.root import Session, root, run
from convfilter.cli.standard_streams import ClosedStream

HOME = Path(convfilter.__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def package() -> Iterator[None]:
    """Let the programs that these tests start find the package under test and the common cache of loops."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HOME))
        yield


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with one small picture."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(samples()).save("in.png")
    return tmp_path


def samples(height: int = 12, width: int = 16) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


def opened(path: str | Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        return np.asarray(image)


def said(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run the command line in this process; returns status and stderr, without notes on compiling and clipping."""
    status = run(list(arguments))
    lines = capfd.readouterr().err.splitlines(keepends=True)
    return status, "".join(line for line in lines if "compiling" not in line and "are clipped" not in line)


# Results ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "specs"),
    [
        ("blur --gaussian 2", ["gaussian:2"]),
        ("blur --gaussian 2x1 --truncate 3", ["gaussian:2x1,truncate=3"]),
        ("blur --box 5x3 --padding-mode wrap", ["box:5x3,padding_mode=wrap"]),
        ("blur --box 3 --stride 2x1 --dilation 2", ["box:3,stride=2x1,dilation=2"]),
        ("blur --box 4 --padding 1,2,3,4", ["box:4,padding=1,2,3,4"]),
        ("blur --box 3 --padding full --padding-mode reflect", ["box:3,padding=full,padding_mode=reflect"]),
        ("blur --box 3 --padding-mode constant --padding-value 9", ["box:3,padding_mode=constant,padding_value=9"]),
        ("edges --sobel x", ["sobel:x"]),
        ("edges --sobel magnitude --scale 1/4", ["sobel:magnitude,scale=1/4"]),
        ("edges --scharr y --map offset", ["scharr:y,map=offset"]),
        ("edges --prewitt magnitude --map stretch", ["prewitt:map=stretch"]),
        ("edges --laplacian --offset 0.5 --map clip", ["laplacian:offset=0.5,map=clip"]),
        ("sharpen", ["unsharp"]),
        ("sharpen --sigma 2 --amount 0.5 --threshold 0.1", ["unsharp:2,amount=0.5,threshold=0.1"]),
        ("convolve --kernel 1,2;3,4 --normalize --flip", ["kernel:1,2;3,4,normalize=true,flip=true"]),
        ("pool --max 3 --stride 2 --padding 1", ["maxpool:3,stride=2,padding=1"]),
        ("pool --average 4x2", ["avgpool:4x2"]),
        ("apply -f gaussian:1 -f sobel:x -f maxpool:2", ["gaussian:1", "sobel:x", "maxpool:2"]),
        ("apply -f box:3 -f box:5,padding_mode=edge --padding-mode wrap", ["box:3,padding_mode=wrap", "box:5"]),
    ],
)  # fmt: skip
def test_commands_do_what_their_specs_do(capfd: pytest.CaptureFixture[str], arguments: str, specs: list[str]) -> None:
    status, remarks = said(capfd, *arguments.split(), "in.png", "out.png")
    assert status == 0
    assert all("of the samples are clipped" in line for line in remarks.splitlines())
    assert np.array_equal(opened("out.png"), convfilter.apply(samples(), *specs))


def test_installed_program_blurs_a_picture() -> None:
    done = program("blur", "--gaussian", "1.5", "in.png", "out.png")
    assert (done.returncode, done.stdout) == (0, b"")
    assert np.array_equal(opened("out.png"), convfilter.gaussian_blur(samples(), 1.5))
    again = program("blur", "--gaussian", "1.5", "--threads", "1", "in.png", "again.png")
    assert (again.returncode, again.stderr) == (0, b"")
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()


def test_gray_takes_the_luminance(capfd: pytest.CaptureFixture[str]) -> None:
    assert said(capfd, "blur", "--box", "3", "--gray", "in.png", "out.png") == (0, "")
    assert np.array_equal(opened("out.png"), convfilter.apply(samples(), "box:3", gray=True))


def test_transparent_pixels_do_not_bleed(capfd: pytest.CaptureFixture[str]) -> None:
    pixels = np.zeros((9, 9, 4), np.uint8)
    pixels[:, :5] = (10, 20, 30, 255)
    pixels[:, 5:] = (255, 0, 255, 0)
    Image.fromarray(pixels).save("in.png")
    assert said(capfd, "blur", "--gaussian", "1", "in.png", "out.png") == (0, "")
    out = opened("out.png")
    assert np.array_equal(np.unique(out[out[..., 3] > 0][:, :3], axis=0), [[10, 20, 30]])


@pytest.mark.parametrize(
    ("mode", "kept"),
    [("1", "L"), ("L", "L"), ("P", "RGB"), ("LA", "LA"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("I;16", "I;16")],
)
def test_modes_are_kept(capfd: pytest.CaptureFixture[str], mode: str, kept: str) -> None:
    Image.fromarray(samples()).convert("L" if mode == "I;16" else mode).convert(mode).save("in.png")
    assert said(capfd, "apply", "-f", "identity", "in.png", "out.png") == (0, "")
    with Image.open("in.png") as before, Image.open("out.png") as after:
        assert after.mode == kept
        assert np.array_equal(np.asarray(before.convert(kept)), np.asarray(after))


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp", "ppm", "webp", "jpg"])
def test_formats_by_suffix(capfd: pytest.CaptureFixture[str], suffix: str) -> None:
    assert said(capfd, "apply", "-f", "identity", "in.png", f"out.{suffix}") == (0, "")
    with Image.open(f"out.{suffix}") as image:
        assert image.size == (16, 12)
        if suffix not in ("webp", "jpg"):
            assert np.array_equal(np.asarray(image), samples())


def test_sixteen_bits_into_an_eight_bit_format(capfd: pytest.CaptureFixture[str]) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (8, 8), np.uint16)
    Image.fromarray(deep).save("deep.png")
    status, notes = said(capfd, "blur", "--box", "3", "deep.png", "out.bmp")
    assert (
        status == 0 and notes.startswith("convfilter: deep.png: BMP holds 8 bits per sample") and notes.count("\n") == 1
    )
    exact = convfilter.box_blur(deep, 3, dtype=np.float32) / 257
    assert np.abs(opened("out.bmp") - exact).max() <= 0.51


def test_eight_bits_into_a_float_format(capfd: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(samples()[..., 0]).save("gray.png")
    assert said(capfd, "edges", "--sobel", "x", "gray.png", "out.pfm") == (0, "")
    signed = convfilter.read("out.pfm").pixels
    assert np.allclose(signed * 255, convfilter.sobel(samples()[..., 0], "x", dtype=np.float32), atol=1e-4)
    assert signed.min() < 0


def test_all_frames_are_filtered(capfd: pytest.CaptureFixture[str]) -> None:
    frames = [samples(), samples()[::-1]]
    first, second = (Image.fromarray(np.ascontiguousarray(frame)) for frame in frames)
    first.save("in.tif", save_all=True, append_images=[second])
    assert said(capfd, "blur", "--box", "3", "in.tif", "out.tif") == (0, "")
    with Image.open("out.tif") as image:
        for number, frame in enumerate(frames):
            image.seek(number)
            assert np.array_equal(np.asarray(image), convfilter.box_blur(frame, 3))
    assert said(capfd, "blur", "--box", "3", "--frame", "1", "in.tif", "one.png") == (0, "")
    assert np.array_equal(opened("one.png"), convfilter.box_blur(frames[1], 3))


def test_metadata_stays(capfd: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(samples()).save("in.png", dpi=(300, 300))
    assert said(capfd, "blur", "--box", "3", "in.png", "out.png") == (0, "")
    assert said(capfd, "blur", "--box", "3", "--strip", "in.png", "bare.png") == (0, "")
    with Image.open("out.png") as kept, Image.open("bare.png") as bare:
        assert round(kept.info["dpi"][0]) == 300
        assert "dpi" not in bare.info


def test_an_output_folder_gets_the_name_of_the_input(capfd: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    assert said(capfd, "blur", "--box", "3", "in.png", "out") == (0, "")
    assert Path("out/in.png").exists()


def test_pipes_from_command_to_command() -> None:
    first = program("blur", "--box", "3", "-", "-", input=Path("in.png").read_bytes())
    second = program("pool", "--max", "2", "--format", "ppm", "-", "-", input=first.stdout)
    assert (first.returncode, second.returncode) == (0, 0)
    Path("out.ppm").write_bytes(second.stdout)
    expected = convfilter.max_pool(convfilter.box_blur(samples(), 3), 2)
    assert np.array_equal(opened("out.ppm"), expected)


def test_in_place_keeps_a_link_a_link(capfd: pytest.CaptureFixture[str]) -> None:
    Path("link.png").symlink_to("in.png")
    assert said(capfd, "blur", "--box", "3", "--in-place", "link.png") == (0, "")
    assert Path("link.png").is_symlink()
    assert np.array_equal(opened("in.png"), convfilter.box_blur(samples(), 3))


def test_names_may_contain_any_character(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("-in.png", "a b;$x*'\".png", "new\nline.png", "ü.png"):
        Path(name).write_bytes(Path("in.png").read_bytes())
        assert said(capfd, "blur", "--box", "3", "--", name, f"{name}.bmp") == (0, "")
        assert np.array_equal(opened(f"{name}.bmp"), convfilter.box_blur(samples(), 3))


def test_kernel_files_of_any_name(capfd: pytest.CaptureFixture[str]) -> None:
    Path("a,b=c.txt").write_text("1 0 -1\n")
    assert said(capfd, "convolve", "--kernel", "a,b=c.txt", "--map", "clip", "in.png", "out.png") == (0, "")
    assert np.array_equal(opened("out.png"), convfilter.convolve(samples(), [[1, 0, -1]]))


def test_verbose_says_it_all_on_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    status, line = said(capfd, "edges", "--sobel", "x", "--map", "clip", "--stride", "2", "-v", "in.png", "out.png")
    assert status == 0
    assert re.fullmatch(
        r"convfilter: in\.png -> out\.png: 16x12 rgb uint8 -> 8x6 rgb uint8; \w+; parse [\d.]+ s, read [\d.]+ s, "
        r"plan [\d.]+ s, run [\d.]+ s, write [\d.]+ s; ([\d.]+)% of the samples clipped\n",
        line,
    )
    raw = convfilter.sobel(samples(), "x", stride=2, dtype=np.float32)
    share = np.mean((raw < 0) | (raw > 255))
    assert f"{share:.3%}" in line


# Errors -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("blur --box 3 missing.png out.png", 1, "missing.png: there is no such file"),
        ("blur --box 3 . new.png", 2, "new.png: there is no such folder; several inputs need one"),
        ("blur --box 3 . out.png", 2, "out.png: several inputs, or a folder, need a folder as output"),
        ("blur --box 3 empty.png out.png", 1, "empty.png: the file is empty"),
        ("blur --box 3 text.png out.png", 1, "text.png: "),
        ("blur --box 3 cut.png out.png", 1, "cut.png: "),
        ("blur --box 3 in.png out.xyz", 2, "out.xyz: no picture format has the suffix '.xyz'"),
        ("blur --box 3 --format xyz in.png out.png", 2, "out.png: format must be one of png"),
        ("blur --box 3 in.png no/out.png", 1, "no/out.png: there is no folder"),
        ("blur --box 3 in.png in.png", 2, "in.png: input and output are the same file; use --in-place"),
        ("blur --box 3 in.png soft.png", 2, "soft.png: input and output are the same file"),
        ("blur --box 3 in.png hard.png", 2, "hard.png: input and output are the same file"),
        ("blur --box 3 alpha.png out.jpg", 1, "out.jpg: JPEG has no transparency"),
        ("blur --box 3 --max-pixels 100 in.png out.png", 1, "in.png: the picture is too large"),
        ("blur --box 3 --padding 9000 in.png out.png", 1, "in.png: the result is too large: 18014x18010 is 324.4"),
        ("blur --box 3 --padding valid tiny.png out.png", 1, "tiny.png: output height must be at least 1, got -1: "),
        ("apply -f box:3 -f maxpool:99 in.png out.png", 1, "in.png: stage 2 (maxpool:99): output height must be"),
        ("blur --box 3 --gray cmyk.jpg out.jpg", 1, "cmyk.jpg: a CMYK picture has no luminance"),
        ("blur --box 0 in.png out.png", 2, "--box: box size must be at least 1, got 0"),
        ("blur --box 1.5 in.png out.png", 2, "--box: box size must be a whole number, got 1.5"),
        ("blur --gaussian -1 in.png out.png", 2, "--gaussian: gaussian sigma must be at least 0, got -1"),
        ("blur --gaussian nan in.png out.png", 2, "--gaussian: gaussian sigma must be a finite number, got 'nan'"),
        ("blur --box 3 --stride 0 in.png out.png", 2, "--stride: stride must be at least 1, got 0"),
        ("blur --box 3 --dilation 0 in.png out.png", 2, "--dilation: dilation must be at least 1, got 0"),
        ("blur --box 3 --padding -1 in.png out.png", 2, "--padding: padding must be at least 0, got -1"),
        ("blur --box 3 --padding-mode zero in.png out.png", 2, "--padding-mode: padding_mode must be one of edge, "),
        ("blur --box 3 --threads 0 in.png out.png", 2, "--threads: threads must be at least 1, got 0"),
        ("blur --box 3 --quality 101 in.png out.jpg", 2, "--quality: quality must be at most 100, got 101"),
        ("blur --box 3 --quality 80 in.png out.png", 2, "got PNG; leave out --quality, or use one"),
        ("blur --box 3 --subsampling 4:4:4 in.png out.webp", 2, "subsampling is for jpeg avif, got WebP"),
        ("blur --box 3 --compression best in.png out.gif", 2, "avif jpegxl, got GIF"),
        ("blur --box 3 --compression best in.png out.npy", 2, "compression is for picture files, and the output is"),
        ("blur --box 3 --max-pixels 9 in.png out.png", 1, "is too large: 16x12 is 192 pixels, the limit is 9; raise"),
        ("blur --box 3 --background nocolour alpha.png out.jpg", 2, "nocolour"),
        ("blur --box 3 --algorithm magic in.png out.png", 2, "--algorithm: algorithm must be one of"),
        ("blur --box 3 --truncate 3 in.png out.png", 2, "--truncate: box has no parameter 'truncate'"),
        ("blur --radius 3 in.png out.png", 2, "--radius chooses no filter, it is an option of --bilateral"),
        ("blur in.png out.png", 2, "choose one of --gaussian, --box, --guided, --bilateral; try 'convfilter blur"),
        (
            "blur --box 3 --gaussian 3 in.png out.png", 2, "--guided, --bilateral, got --gaussian and --box",
        ),
        ("convolve in.png out.png", 2, "--kernel is needed"),
        ("convolve --kernel ragged.txt in.png out.png", 2, "ragged.txt: all rows need the same number of weights"),
        ("convolve --kernel words.txt in.png out.png", 2, "words.txt: line 1, weight 2: a weight must be a number"),
        ("convolve --kernel nan.txt in.png out.png", 2, "nan.txt: line 1, weight 2: weights must be finite, got nan"),
        ("convolve --kernel none.txt in.png out.png", 2, "none.txt: there is no such kernel file"),
        ("convolve --kernel . in.png out.png", 2, ".: a kernel file is needed, and this is a folder"),
        ("convolve --kernel empty.png in.png out.png", 2, "empty.png: a kernel has at least one weight"),
        ("convolve --kernel 1,-1 --normalize in.png out.png", 2, "the weights sum to zero"),
        ("apply -f gausian:2 in.png out.png", 2, "'gausian:2', column 1: no filter is called 'gausian'; did you mean"),
        ("apply -f box:3,strid=2 in.png out.png", 2, "'box:3,strid=2', column 13: box has no parameter 'strid'; did"),
        ("apply in.png out.png", 2, "-f"),
        ("pool --max 2 --flip in.png out.png", 2, "--flip"),
        ("blur --box 3 in.png", 2, "an input and an output are needed, got 1 name"),
        ("blur --box 3 in.png tiny.png no.png", 2, "no.png: there is no such folder; several inputs need one"),
        ("blur --box 3 --in-place", 2, "--in-place takes inputs and no output, got 0 names"),
        ("blur --box 3 --in-place -", 2, "standard input cannot be overwritten"),
        ("blur --box 3 --mask - - out.png", 2, "standard input can be the picture or the --mask, and not both"),
        ("blur --bx 3 in.png out.png", 2, "--bx"),
        ("blur --box", 2, "--box"),
        ("bulr --box 3 in.png out.png", 2, "no command is called 'bulr'; did you mean blur?"),
        ("plan -f box:9 --padding valid --size 4", 1, "output height must be at least 1"),
        ("kernel show nothing", 2, "no filter is called 'nothing'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    capfd: pytest.CaptureFixture[str], folder: Path, arguments: str, status: int, message: str
) -> None:
    bad_files(folder)
    before = {path: path.read_bytes() for path in sorted(folder.iterdir())}
    got, text = said(capfd, *arguments.split())
    assert got == status
    assert text.startswith("convfilter: ")
    assert message in text
    assert text.count("\n") == 1
    assert {path: path.read_bytes() for path in sorted(folder.iterdir())} == before


def bad_files(folder: Path) -> None:
    whole = Path("in.png").read_bytes()
    Path("out.png").write_bytes(b"what was there before")
    Path("empty.png").touch()
    Path("text.png").write_text("no picture at all, but text that is long enough to be looked at\n" * 9)
    Path("cut.png").write_bytes(whole[: len(whole) // 2])
    Path("soft.png").symlink_to("in.png")
    os.link("in.png", "hard.png")
    Image.fromarray(np.full((2, 2, 4), 99, np.uint8)).save("alpha.png")
    Image.fromarray(np.full((1, 1), 99, np.uint8)).save("tiny.png")
    Image.new("CMYK", (8, 8)).save("cmyk.jpg")
    Path("ragged.txt").write_text("1 2 3\n4 5\n")
    Path("words.txt").write_text("1 two\n")
    Path("nan.txt").write_text("1 nan\n")


def test_names_cannot_move_the_cursor(capfd: pytest.CaptureFixture[str]) -> None:
    status, text = said(capfd, "blur", "--box", "3", "no\n\x1b2Jsuch.png", "out.png")
    assert (status, text) == (1, "convfilter: no\\n\\x1b2Jsuch.png: there is no such file\n")


def test_unexpected_errors_are_one_line_unless_debugging(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_arguments: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("convfilter.pipeline.steps.opened", explode)
    status, text = said(capfd, "blur", "--box", "3", "in.png", "out.png")
    assert status == 1
    assert text == "convfilter: in.png: internal error: RuntimeError: first line; run again with --debug\n"
    status, text = said(capfd, "blur", "--box", "3", "--debug", "in.png", "out.png")
    assert status == 1
    assert "Traceback" in text and "in explode" in text


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            OSError("Could not find/load shared object file 'libx.so'. This could mean\nmany things"),
            "Could not find/load",
        ),
        (ImportError("libopenblas.so: failed to map segment from shared object"), "libopenblas.so: failed to map"),
        (ImportError(), "ImportError"),
    ],
)
@pytest.mark.parametrize("place", ["steps.opened", "job.Job.plan"])
def test_a_library_that_cannot_be_loaded_is_no_internal_error(
    error: Exception, why: str, place: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under a memory limit that is too small for the loader of compiled code (ulimit -v 200000)."""

    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(f"convfilter.pipeline.{place}", fail)
    status, text = said(capfd, "blur", "--box", "3", "in.png", "out.png")
    assert status == 1
    assert text.startswith(f"convfilter: in.png: a library cannot be loaded: {why}")
    assert text.endswith("the memory limit is too small (ulimit -v), or the installation is damaged\n")


def test_whether_files_are_readable_is_left_to_their_reader(
    capfd: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Any, *_: Any, **__: Any) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "access", lambda _path, mode, **_: mode != os.R_OK)
    Path("out.png").touch()  # may be write-only
    assert said(capfd, "apply", "-f", "identity", "in.png", "out.png")[0] == 0
    monkeypatch.setattr("builtins.open", refuse)
    assert said(capfd, "apply", "-f", "identity", "in.png", "out.png") == (1, "convfilter: in.png: permission denied\n")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("blur --box 3 '' out.png", 2, "a file name is empty; check the variables of the shell"),
        ("blur --box 3 in.png ''", 2, "a file name is empty; check the variables of the shell"),
        ("blur --box 3 in.png '' folder/", 2, "a file name is empty; check the variables of the shell"),
        ("info ''", 1, "the name of the file is empty"),
        ("blur --box 3 in.png in.png/out.png", 1, "in.png/out.png: a part of its path is a file, a folder is needed"),
        ("blur --box 3 in.png/in.png out.png", 1, "in.png/in.png: a part of its path is a file, a folder is needed"),
        (f"blur --box 3 in.png {300 * 'a'}.png", 1, "aaa.png: the name is too long"),
    ],
)
def test_names_that_no_file_has(capfd: pytest.CaptureFixture[str], folder: Path, arguments, status, message) -> None:
    got, error = said(capfd, *shlex.split(arguments))
    assert got == status and error.startswith("convfilter: ") and error.endswith(f"{message}\n")


def test_pictures_do_not_go_to_or_come_from_a_terminal() -> None:
    leader, follower = pty.openpty()
    try:
        there = subprocess.run(
            [*PROGRAM, "blur", "--box", "3", "in.png", "-"], stdout=follower, stderr=subprocess.PIPE, check=False
        )
        back = subprocess.run(
            [*PROGRAM, "blur", "--box", "3", "-", "out.png"], stdin=follower, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(leader)
        os.close(follower)
    assert (there.returncode, back.returncode) == (2, 2)
    assert there.stderr.startswith(b"convfilter: a picture is not written to a terminal")
    assert back.stderr.startswith(b"convfilter: a picture is not read from a terminal")


def test_closed_streams_are_called_closed() -> None:
    for arguments, redirection, name in (("in.png -", ">&-", "output"), ("- out.png", "<&-", "input")):
        command = f"'{sys.executable}' -m convfilter blur --box 3 {arguments} {redirection}"
        done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith(f"convfilter: standard {name} is closed; name a file, or use a pipe")


@pytest.mark.parametrize(
    "arguments",
    [
        "--version", "blur --help", "info in.png", "info --json in.png", "formats", "compare in.png in.png",
        "plan -f box:3 --size 9x9", "kernel list", "kernel show box:3", "from 'gaussian_filter(x, 2)'", "cache path",
        "completion bash", "apply -f identity --json in.png out.png", "apply -f identity --json in.png in.png outs",
    ],
)  # fmt: skip
def test_printing_to_a_closed_output_fails(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: str
) -> None:
    Path("outs").mkdir()
    monkeypatch.setattr("sys.stdout", ClosedStream("standard output"))
    status, errors = said(capfd, *shlex.split(arguments))
    assert (status, errors.splitlines()[-1]) == (1, "convfilter: standard output is closed")


def test_a_closed_output_matters_only_to_what_is_printed() -> None:
    for arguments, status in (("info in.png", 1), ("apply -f identity in.png out.png", 0)):
        command = f"'{sys.executable}' -m convfilter {arguments} >&-"
        done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (status, "convfilter: standard output is closed\n" if status else "")


def test_no_file_gets_the_number_of_a_closed_stream() -> None:
    """What a library prints would otherwise go into a picture."""
    source = "import os, sys; from convfilter.cli.standard_streams import reserve; reserve(); sys.exit(os.dup(0))"
    command = f"'{sys.executable}' -c '{source}' <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode >= 3


# How it ends --------------------------------------------------------------------


def test_a_closed_pipe_ends_quietly() -> None:
    for arguments in (["kernel", "list"], ["blur", "--box", "3", "in.png", "-"]):
        read_end, write_end = os.pipe()
        os.close(read_end)
        done = subprocess.run([*PROGRAM, *arguments], stdout=write_end, stderr=subprocess.PIPE, check=False)
        os.close(write_end)
        assert done.returncode == 141
        assert not [line for line in done.stderr.splitlines() if b"compiling" not in line]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "wb") as full:
        listed = subprocess.run([*PROGRAM, "kernel", "list"], stdout=full, stderr=subprocess.PIPE, check=False)
        filtered = subprocess.run(
            [*PROGRAM, "apply", "-f", "identity", "in.png", "-"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (listed.returncode, filtered.returncode) == (1, 1)
    for done in (listed, filtered):
        assert b"convfilter: standard output: no space left on the disk" in done.stderr.splitlines()
    assert b"Traceback" not in listed.stderr + filtered.stderr


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_signals_leave_nothing_behind(folder: Path, number: signal.Signals, status: int) -> None:
    Path("out.png").write_bytes(b"what was there before")
    os.mkfifo("slow.png")
    child = subprocess.Popen([*PROGRAM, "blur", "--box", "3", "slow.png", "out.png"], stderr=subprocess.PIPE)
    with open("slow.png", "wb", buffering=0) as fifo:  # returns when the program has opened it: it runs
        fifo.write(Path("in.png").read_bytes()[:70])
        time.sleep(0.2)  # it waits for more: Python hears nothing between two reads of its buffer
        child.send_signal(number)
        _, stderr = child.communicate(timeout=60)
    assert (child.returncode, stderr) == (status, b"")
    assert Path("out.png").read_bytes() == b"what was there before"
    assert sorted(path.name for path in folder.iterdir()) == ["in.png", "out.png", "slow.png"]


def test_signals_at_any_moment_leave_the_old_file_or_the_new(folder: Path) -> None:
    Image.fromarray(np.tile(samples(), (40, 40, 1))).save("in.png")
    assert program("blur", "--gaussian", "3", "in.png", "whole.png").returncode == 0
    new, old = Path("whole.png").read_bytes(), b"what was there before"
    for delay in np.linspace(0.02, 0.6, 8):
        Path("out.png").write_bytes(old)
        child = subprocess.Popen([*PROGRAM, "blur", "--gaussian", "3", "in.png", "out.png"], stderr=subprocess.PIPE)
        time.sleep(delay)
        child.terminate()
        _, stderr = child.communicate(timeout=60)
        # In its first milliseconds Python itself has no handler yet.
        assert child.returncode in (0, 143, -signal.SIGTERM)
        assert stderr == b""
        assert Path("out.png").read_bytes() in (old, new)
        assert sorted(path.name for path in folder.iterdir()) == ["in.png", "out.png", "whole.png"]


def test_a_signal_that_comes_in_a_callback_ends_the_program_too() -> None:
    program = """if True:
        import signal, time, weakref
        from convfilter.cli import signals

        class Module:
            pass

        signals.install()
        module = Module()
        reference = weakref.ref(module, lambda _: signal.raise_signal(signal.SIGTERM))
        del module
        time.sleep(60)
        print("it went on")
    """
    child = start_python(program)
    assert (*child.communicate(timeout=50), child.returncode) == ("", "", 143)


def test_an_ignored_signal_stays_ignored() -> None:
    os.mkfifo("slow.png")
    child = subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *PROGRAM, "blur", "--box", "3", "slow.png", "out.png"],
        stderr=subprocess.PIPE,
    )
    with open("slow.png", "wb", buffering=0) as fifo:
        child.send_signal(signal.SIGHUP)
        fifo.write(Path("in.png").read_bytes())
    child.communicate(timeout=60)
    assert child.returncode == 0
    assert np.array_equal(opened("out.png"), convfilter.box_blur(samples(), 3))


# Notes and summaries ------------------------------------------------------------


def test_version_and_help() -> None:
    assert program("--version").stdout == f"convfilter {convfilter.__version__}\n".encode()
    top = program("--help")
    assert top.returncode == 0
    assert all(f"  {name} " in top.stdout.decode() for name in COMMANDS)
    bare = program()
    assert (bare.returncode, bare.stdout) == (2, b"")
    assert bare.stderr == top.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(capfd: pytest.CaptureFixture[str], name: str) -> None:
    assert run([name, "--help"]) == 0
    text = capfd.readouterr().out
    assert COMMANDS[name] in " ".join(text.split())
    examples = 0
    for line in re.findall(rf"^  (convfilter {name} .*)$", text, re.MULTILINE):
        examples += 1
        words = shlex.split(line.split("   ")[0])[2:]
        command = root.get_command(click.Context(root), name)
        assert command is not None
        command.make_context(name, words, obj=Session())  # it parses
    assert examples or name in ("kernel", "cache", "selftest", "completion")


def test_help_draws_the_padding_modes(capfd: pytest.CaptureFixture[str]) -> None:
    run(["blur", "--help"])
    drawn = capfd.readouterr().out.split("Padding modes")[1]
    for mode in ("edge", "reflect", "symmetric", "wrap"):
        pattern = re.search(rf"{mode} +(\w+)\|abcd\|(\w+)", drawn)
        assert pattern is not None
        before, after = pattern[1], pattern[2]
        padded = np.pad(np.array([*"abcd"]), (len(before), len(after)), mode=mode)
        assert "".join(padded) == f"{before}abcd{after}"


UNUSED = ["numba", "tifffile", "importlib.metadata", "concurrent", "jinja2"]


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--help"], ["numpy", "PIL", "numba", "llvmlite", "convfilter.filters"]),
        (["--version"], ["numpy", "PIL", "numba", "llvmlite", "convfilter.filters"]),
        (["blur", "--help"], ["numpy", "PIL", "numba", "llvmlite", "convfilter.engine"]),
        (["blur", "--stride", "0", "--box", "3", "in.png", "out.png"], ["numpy", "PIL", "numba", "llvmlite"]),
        (
            ["blur", "--box", "3", "in.png", "out.png"],
            ["numba", "tifffile", "jinja2", "importlib.metadata", "concurrent", "numpy.typing", "locale"],
        ),
    ],
    ids=lambda value: " ".join(value[:2]),
)
def test_commands_import_no_module_that_they_do_not_use(arguments: list[str], absent: list[str]) -> None:
    program("blur", "--box", "3", "in.png", "out.png")  # from here on the loops are compiled
    code = f"import sys, convfilter.cli as c; c.main({arguments!r}); sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert not loaded & set(absent)


def test_kernel_list_and_show(capfd: pytest.CaptureFixture[str]) -> None:
    from convfilter.filters.catalog import FILTERS, STAGE_PARAMETERS

    assert run(["kernel", "list"]) == 0
    text = capfd.readouterr().out
    for row in FILTERS.values():
        assert row.form in text and row.example in text
        assert all(parameter.help in text for parameter in row.parameters)
    assert all(f"    {name} " in text for name in STAGE_PARAMETERS)

    assert run(["kernel", "show", "kernel:1/9 1/3 1; 0.5 2 -3"]) == 0
    text = capfd.readouterr().out
    assert "weights: 3x2, sum 0.944444, not separable" in text
    assert "  1/9  1/3    1\n  1/2    2   -3\n" in text
    assert run(["kernel", "show", "sobel:x,flip=true"]) == 0
    assert "  -1   0   1\n  -2   0   2\n  -1   0   1\n" in capfd.readouterr().out
    assert run(["kernel", "show", "gaussian:1"]) == 0
    bell = np.exp(-(np.arange(-6, 7) ** 2) / 2)
    lines = capfd.readouterr().out.splitlines()
    column = " ".join(lines[lines.index("  column:") + 1 : lines.index("  row:")]).split()
    np.testing.assert_allclose(np.array(column, float), bell / bell.sum(), rtol=1e-5)
    for spec in ("gaussian:30", "gaussian:2", "maxpool:2", "box:40", "sobel", "unsharp"):
        assert run(["kernel", "show", spec]) == 0
        assert max(map(len, capfd.readouterr().out.splitlines())) < 120
    for spec in ("median:3", "percentile:3,p=1/4", "close:3", "dilate:1 1 1; 1 1 1; 1 1 1"):
        assert run(["kernel", "show", spec]) == 0
        assert capfd.readouterr().out.endswith("\nwindow: 3x3, 9 pixels, no weights\n  1  1  1\n  1  1  1\n  1  1  1\n")
    for groups, said in (
        (1, "4 outputs x 3 inputs x 1 x 1 = 12,"),
        (2, "4 outputs x 3 inputs x 1 x 1 = 12 in 2 groups,"),
    ):
        np.savez("layer.npz", weight=np.ones((4, 3, 1, 1), np.float32), groups=groups)
        assert run(["kernel", "show", "layer:layer.npz"]) == 0
        assert said in capfd.readouterr().out


def test_plan_puts_the_numbers_into_the_formula(capfd: pytest.CaptureFixture[str]) -> None:
    stack = ["-f", "gaussian:2", "-f", "maxpool:3,stride=2,padding=1x0"]
    assert run(["plan", *stack, "--size", "64x48", "--depth", "16", "--channels", "4"]) == 0
    text = capfd.readouterr().out
    assert "input        64x48, 4 channels, uint16" in text
    assert "width      floor((64 + 1 + 1 - 1*(3 - 1) - 1) / 2) + 1 = 32" in text
    assert "height     floor((48 + 0 + 0 - 1*(3 - 1) - 1) / 2) + 1 = 23" in text
    assert "algorithm  pooling, " in text
    assert "output       32x23" in text


def test_plan_shows_the_padding_wherever_it_is_given(capfd: pytest.CaptureFixture[str]) -> None:
    """Only of axes and filters that read padding: pooling does not count it."""
    stack = [f"-f{spec}" for spec in ("gaussian:2", "box:3x1", "sobel:x,padding=0x1", "relu", "maxpool:3,padding=1")]
    for option, both, across, down in (
        ([], "edge", "edge", "edge"),
        (["--padding-mode", "wrap,edge"], "wrap across, edge down", "wrap", "edge"),
        (["--padding-value", "7"], "constant 7", "constant 7", "constant 7"),
    ):
        assert run(["plan", *stack, *option, "--size", "64x48"]) == 0
        lines = capfd.readouterr().out.splitlines()
        assert [line[13:] for line in lines if line.startswith("  padding ")] == [both, across, down]
        assert run(["plan", *stack, *option, "--size", "64x48", "--json"]) == 0
        stages = json.loads(capfd.readouterr().out)["stages"]
        words = across.split()[0], down.split()[0]
        shown = [(stage["width"]["padding_mode"], stage["height"]["padding_mode"]) for stage in stages]
        assert shown == [words, (words[0], None), (None, words[1]), (None, None), (None, None)]
        value = 7 if "constant" in words else None
        assert [stage["padding_value"] for stage in stages] == [value, value, value, None, None]


def test_cache_commands(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("CONVFILTER_CACHE_DIR", str(folder / "loops"))
    monkeypatch.setattr("tempfile.tempdir", str(folder))  # the other folder that is cleared
    assert run(["cache", "path"]) == 0
    assert capfd.readouterr().out == f"{folder / 'loops'}\n"
    Path("in.pgm").write_bytes(b"P5 2 1 255\n\x01\x02")  # a format that needs no loops of its own
    done = program("apply", "-f", "invert", "in.pgm", "out.pgm")
    assert done.stderr.count(b"\n") == 1 and b"compiling for this machine" in done.stderr
    kept = len(list((folder / "loops").glob("[!.]*")))
    assert kept > 0
    assert program("apply", "-f", "invert", "in.pgm", "out.pgm").stderr == b""
    assert run(["cache", "clear"]) == 0
    assert capfd.readouterr().out.startswith(f"removed {kept} file")
    assert not list((folder / "loops").glob("[!.]*"))


def test_a_request_has_a_field_for_each_option() -> None:
    """A missing one would be an option that is parsed and ignored; names of filters are the SPEC of the command."""

    from convfilter.cli.options import run_options
    from convfilter.cli.request import Request

    of_click = {option.name for option in run_options() if option.expose_value}
    of_others = {"specs", "stage", "typed", "config", "debug", "files"}
    assert set(Request.__match_args__) == of_click | of_others


def test_a_request_reads_each_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from convfilter.cli import jobs
    from convfilter.cli.request import Request

    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text('suffix = "_x"\nquality = 70\n')
    seen: list[Request] = []
    monkeypatch.setattr(jobs, "run_files", lambda request: seen.append(request) or 0)
    assert run(["blur", "--box", "3", "--stride", "2", "--quality", "80", "--config", "c.toml", "a.png", "b.jpg"]) == 0
    (request,) = seen
    assert (request.stage["stride"], request.files, request.quality) == ((2, 2), ("a.png", "b.jpg"), 80)
    assert request.suffix is None  # of a pair, a configuration does not name the output
    assert (request.config, request.debug) == ("c.toml", False)
    assert {"quality", "box", "stride"} <= request.typed
    assert "suffix" not in request.typed
    assert run(["apply", "-f", "box:3", "--config", "c.toml", "a.png", "b.png", "c/"]) == 0
    assert (seen[1].suffix, seen[1].quality) == ("_x", 70)
