"""Short and full help, facts about pictures, and plans of pictures."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import convfilter
from convfilter.cli.commands import COMMANDS
from convfilter.cli.root import run
from convfilter.filters.catalog import FILTERS

SCREEN = 32


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    exif = Image.Exif()
    exif[274] = 6
    pixels = np.random.default_rng(2).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save("in.jpg", exif=exif, dpi=(300, 300), comment=b"by me")
    Image.fromarray(np.dstack([pixels, pixels[:, :, :1]])).save("alpha.png")
    return tmp_path


def printed(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run([*arguments]) == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    return captured.out


def test_info_and_plan_read_the_header_of_a_picture_of_any_size(capfd: pytest.CaptureFixture[str]) -> None:
    strip = zlib.compress(bytes(256 * 20_000))
    with tifffile.TiffWriter("large.tif") as tiff:
        tiff.write(
            (strip for _ in range(52)), shape=(13_312, 20_000), dtype=np.uint8, rowsperstrip=256, compression="zlib"
        )
    assert printed(capfd, "info", "large.tif").startswith("large.tif: TIFF, 20000x13312, gray, uint8\n")
    assert "  box:3:" in printed(capfd, "info", "-f", "box:3", "large.tif")
    assert printed(capfd, "plan", "-f", "box:3", "large.tif").startswith("input        20000x13312, 1 channel, uint8\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_short_help_fits_a_screen_and_long_help_is_everything(capfd: pytest.CaptureFixture[str], command: str) -> None:
    short, whole = printed(capfd, command, "-h"), printed(capfd, command, "--help")
    assert printed(capfd, "help", command) == whole
    assert "Usage: " in short and len(short.splitlines()) <= SCREEN
    if short != whole:
        assert f"'convfilter {command} --help' shows all" in short
        assert "Examples:" in short and len(whole.splitlines()) > len(short.splitlines())


def test_help_and_version_of_the_program(capfd: pytest.CaptureFixture[str]) -> None:
    assert printed(capfd, "help") == printed(capfd, "--help") == printed(capfd, "-h")
    assert printed(capfd, "-V") == printed(capfd, "--version")
    assert "--plot" in printed(capfd, "help", "kernel", "show")
    assert run(["help", "blurr"]) == 2
    assert "did you mean blur?" in capfd.readouterr().err


def test_info_tells_what_a_picture_holds(capfd: pytest.CaptureFixture[str]) -> None:
    lines = printed(capfd, "info", "in.jpg").splitlines()
    assert lines[0] == "in.jpg: JPEG, 30x20, rgb, uint8"
    assert "  orientation  6: rotated by 90 degrees when it is filtered" in lines
    assert "  resolution   300 dpi" in lines
    assert "  Comment      by me" in lines
    assert "  as JPEG      all is kept" in lines
    facts = json.loads(printed(capfd, "info", "--json", "in.jpg"))
    assert (facts["width"], facts["height"], facts["orientation"], facts["text"]) == (30, 20, 6, {"Comment": "by me"})
    assert facts["losses"]["JPEG"] == [] and any("EXIF" in lost for lost in facts["losses"]["BMP"])


def test_info_names_losses_and_the_program_that_wrote_the_file(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["blur", "--box", "3", "alpha.png", "out.png"]) == 0
    capfd.readouterr()
    lines = printed(capfd, "info", "out.png").splitlines()
    assert lines[0] == "out.png: PNG, 30x20, rgb with opacity, uint8"
    assert "  Software     convfilter" in lines
    assert "  as JPEG      JPEG has no transparency" in lines
    assert run(["info", "none.png"]) == 1
    assert capfd.readouterr().err == "convfilter: none.png: there is no such file\n"


def test_info_forecasts_the_result_of_filters(capfd: pytest.CaptureFixture[str]) -> None:
    """The forecast equals the report of the run."""
    lines = printed(capfd, "info", "-f", "gaussian:1,stride=2", "-f", "relu", "in.jpg").splitlines()
    assert "  gaussian:1,stride=2 + relu:" in lines
    (result,) = (line.split("result")[1].strip() for line in lines if "    result" in line)
    assert run(["apply", "-f", "gaussian:1,stride=2", "-f", "relu", "-v", "in.jpg", "out.jpg"]) == 0
    done = capfd.readouterr().err
    assert result == "20x30 rgb uint8 -> 10x15 rgb uint8, as JPEG" and result.removesuffix(", as JPEG") in done
    facts = json.loads(printed(capfd, "info", "--json", "-f", "gaussian:1,stride=2", "-f", "relu", "in.jpg"))["filter"]
    assert " + ".join(facts["algorithms"]) in done
    assert (
        facts["not_streamed"].startswith("input not streamed: its EXIF orientation turns the picture")
        and facts["not_streamed"] in done
    )
    assert facts["plan"]["output"] == {"width": 10, "height": 15, "channels": 3}
    Path("convfilter.toml").write_text('[pipelines]\nsoft = ["box:3", "avgpool:2"]\n')
    assert "  box:3 + avgpool:2:" in printed(capfd, "info", "@soft", "alpha.png").splitlines()
    for arguments, message in (
        (["@soft"], "a picture is needed after the @NAME of a pipeline"),
        (["-f", "blurr:3", "in.jpg"], "no filter is called 'blurr'; 'convfilter kernel list' shows all"),
        (["-f", "box:50,padding=valid", "in.jpg"], "in.jpg: "),
    ):
        assert run(["info", *arguments]) in (1, 2)
        assert message in capfd.readouterr().err


def test_info_tells_what_formats_keep(capfd: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(printed(capfd, "info", "--json", "in.jpg"))
    assert facts["kept"]["JPEG"] == facts["metadata"] and "exif" in facts["metadata"]
    assert "exif" not in facts["kept"]["BMP"] and "resolution" in facts["kept"]["BMP"]


def test_info_tells_where_a_map_lies(capfd: pytest.CaptureFixture[str]) -> None:
    tags = {33550: (10.0, 10.0, 0.0), 33922: (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), 42113: "-9999"}
    Image.fromarray(np.zeros((4, 5), np.float32)).save("dem.tif", tiffinfo=tags)
    lines = printed(capfd, "info", "dem.tif").splitlines()
    (metadata,) = (line for line in lines if line.startswith("  metadata"))
    assert "position and projection (GeoTIFF)" in metadata and "a nodata value" in metadata
    facts = json.loads(printed(capfd, "info", "--json", "dem.tif"))
    assert {"geo", "nodata"} <= set(facts["kept"]["TIFF"]) and not {"geo", "nodata"} & set(facts["kept"]["PNG"])


def test_plans_of_pictures_know_their_opacity(capfd: pytest.CaptureFixture[str]) -> None:
    """With alpha, sums are float64, in the plan of a picture and in its run."""
    text = printed(capfd, "plan", "-f", "box:3", "alpha.png")
    with_opacity = convfilter.plan((30, 20, 4), "box:3", alpha=True).stages[0]
    assert f"sums in {with_opacity.precision}" in text and f"algorithm  {with_opacity.algorithm}," in text


def test_plans_of_pictures_and_pipelines(capfd: pytest.CaptureFixture[str]) -> None:
    by_size = printed(capfd, "plan", "-f", "box:3", "--size", "20x30")
    assert printed(capfd, "plan", "-f", "box:3", "in.jpg") == by_size
    Path("convfilter.toml").write_text('[pipelines]\nsoft = ["box:3"]\n')
    assert printed(capfd, "plan", "@soft", "alpha.png", "--config", "convfilter.toml")
    for arguments, message in (
        (["-f", "box:3"], "a picture is needed, or its --size"),
        (["alpha.png"], "a filter is needed: -f SPEC, or the @NAME of a pipeline"),
        (["-f", "box:3", "alpha.png", "--size", "9"], "alpha.png: the size is that of the picture; leave out --size"),
        (["-f", "box:3", "alpha.png", "in.jpg"], "a plan is for one picture, got 2 names"),
    ):
        assert run(["plan", *arguments]) == 2
        assert message in capfd.readouterr().err


def test_pooling_states_its_own_defaults(capfd: pytest.CaptureFixture[str]) -> None:
    options = " ".join(printed(capfd, "pool", "--help").split())
    assert "--stride STEP Keep every STEP-th row and column; N, or XxY. [px, default the window]" in options
    assert "as TensorFlow's SAME and ONNX have it. [px, default 0]" in options


PLAN = ("plan", "-f", "box:3", "--channels", "4", "--size")


def test_filters_are_listed_by_group_and_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    whole = printed(capfd, "kernel", "list")
    index = whole.split("\n\n")[0]
    assert sorted(name for line in index.splitlines() for name in line.split()[1:]) == sorted(FILTERS)
    one = printed(capfd, "kernel", "list", "gaussian")
    assert one.startswith("gaussian:") and "sobel" not in one.partition("Common parameters")[0]
    assert "  common parameters: none\n" in printed(capfd, "kernel", "list", "canny")
    assert "Common parameters" not in printed(capfd, "kernel", "list", "canny")
    for name, stride in (("box", "1]"), ("maxpool", "the window]"), ("layer", "the file's, else 1]")):
        assert f"default {stride}" in printed(capfd, "kernel", "list", name).partition("    stride ")[2].split("\n")[0]
    assert [row["name"] for row in json.loads(printed(capfd, "kernel", "list", "--json"))] == list(FILTERS)
    assert run(["kernel", "list", "gausian"]) == 2
    assert "no filter is called 'gausian'; did you mean gaussian?" in capfd.readouterr().err
