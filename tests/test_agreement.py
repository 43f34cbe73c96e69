"""SPEC, command line and functions agree on every option, also for zero, false and the default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from PIL import Image

import convfilter as cf
from convfilter.cli.root import run
from convfilter.filters.catalog import FILTERS, STAGE_PARAMETERS

SAMPLES = np.random.default_rng(5).integers(1, 256, (64, 60), np.uint8)

#: Every stage option with values that a truth test takes for "not given", and with others: as text, and for functions.
VALUES: dict[str, list[tuple[str, Any]]] = {
    "stride": [("1", 1), ("2x1", (1, 2))],
    "dilation": [("1", 1), ("1x2", (2, 1))],
    "padding": [("0", 0), ("1", 1), ("valid", "valid"), ("same_lower", "same_lower"), ("1,0,0,1", (1, 0, 0, 1))],
    "padding_mode": [("edge", "edge"), ("constant", "constant"), ("wrap", "wrap")],
    "padding_value": [("0", 0), ("0.0", 0.0), ("2", 2)],
    "ceil": [("false", False), ("true", True)],
    "flip": [("false", False), ("true", True)],
    "scale": [("0", 0.0), ("1", 1.0), ("-1/2", -0.5)],
    "offset": [("0", 0.0), ("1/2", 0.5)],
    "map": [("clip", "clip"), ("offset", "offset"), ("stretch", "stretch")],
}

#: Each named function beside the SPEC that says the same.
FUNCTIONS = {
    "gaussian:0x1": lambda image, **keywords: cf.gaussian_blur(image, (1, 0), **keywords),
    "gaussian:1,truncate=2": lambda image, **keywords: cf.gaussian_blur(image, 1, truncate=2, **keywords),
    "box:1": lambda image, **keywords: cf.box_blur(image, 1, **keywords),
    "box:3x2": lambda image, **keywords: cf.box_blur(image, (2, 3), **keywords),
    "sobel:x": lambda image, **keywords: cf.sobel(image, "x", **keywords),
    "scharr:magnitude": cf.scharr,
    "prewitt:y": lambda image, **keywords: cf.prewitt(image, "y", **keywords),
    "laplacian": cf.laplacian,
    "unsharp:1,amount=0,threshold=0": lambda image, **keywords: cf.unsharp_mask(image, 1, 0, 0, **keywords),
    "unsharp:0,amount=2,threshold=1/10": lambda image, **keywords: cf.unsharp_mask(image, 0, 2, 0.1, **keywords),
    "kernel:1 2 0; 0 0 3": lambda image, **keywords: cf.convolve(image, [[1, 2, 0], [0, 0, 3]], **keywords),
    "maxpool:3": lambda image, **keywords: cf.max_pool(image, 3, **keywords),
    "minpool:2x3": lambda image, **keywords: cf.min_pool(image, (3, 2), **keywords),
    "avgpool:2": lambda image, **keywords: cf.average_pool(image, 2, **keywords),
    "avgpool:2,count_padding=true": lambda image, **keywords: cf.average_pool(image, 2, count_padding=True, **keywords),
    "lppool:2,p=3": lambda image, **keywords: cf.lp_pool(image, 2, p=3, **keywords),
}

EXAMPLES = [row.example for row in FILTERS.values() if row.name not in ("layer", "convtranspose", "net")]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(SAMPLES).save("in.png")
    return tmp_path


def filtered(*arguments: str) -> np.ndarray:
    Path("out.png").unlink(missing_ok=True)
    assert run(["apply", *arguments, "in.png", "out.png"]) == 0
    with Image.open("out.png") as image:
        return np.asarray(image)


def with_option(spec: str, name: str, text: str) -> str:
    return f"{spec}{',' if ':' in spec else ':'}{name}={text}"


def test_the_table_has_every_option() -> None:
    assert set(VALUES) == set(STAGE_PARAMETERS)


@pytest.mark.parametrize("spec", EXAMPLES)
def test_spec_option_and_keyword_agree(spec: str) -> None:
    keywords = FILTERS[spec.partition(":")[0]].stage_keywords
    for name in keywords:
        for place, (text, value) in enumerate(VALUES[name], EXAMPLES.index(spec)):
            if f"{name}=" in spec or (spec.startswith("guided") and text == "constant"):  # which it refuses
                continue
            # A padded window of one pixel reads the samples beyond the border.
            shows = name.startswith("padding_") and "padding" in keywords
            padded = with_option(spec, "padding", "2") if shows else spec
            in_spec = cf.apply(SAMPLES, with_option(padded, name, text))
            np.testing.assert_array_equal(cf.apply(SAMPLES, padded, **{name: value}), in_spec, f"{name}={text}")
            if place % len(VALUES[name]):  # one value of each option is typed, another one for the next filter
                continue
            option = f"--{name.replace('_', '-')}"
            typed = [option] if text == "true" else [] if text == "false" else [option, text]
            if text != "false" or typed:
                np.testing.assert_array_equal(filtered("-f", padded, *typed), in_spec, f"{name}={text}")


@pytest.mark.parametrize("spec", FUNCTIONS)
def test_functions_agree_with_their_spec(spec: str) -> None:
    function = FUNCTIONS[spec]
    keywords = FILTERS[spec.partition(":")[0]].stage_keywords
    np.testing.assert_array_equal(function(SAMPLES), cf.apply(SAMPLES, spec))
    for name in keywords:
        for text, value in VALUES[name]:
            padding = {"padding": 2} if name.startswith("padding_") else {}
            in_spec = cf.apply(SAMPLES, with_option(spec, name, text), **padding)
            np.testing.assert_array_equal(function(SAMPLES, **padding, **{name: value}), in_spec, f"{name}={text}")


@pytest.mark.parametrize("value", [0, 0.0, np.float32(0), 2])
def test_a_padding_value_frames_the_picture(value: float) -> None:
    framed = np.pad(SAMPLES, 1, constant_values=int(value))
    np.testing.assert_array_equal(cf.box_blur(SAMPLES, 1, padding=1, padding_value=value), framed)
    np.testing.assert_array_equal(cf.convolve(SAMPLES, [[1]], padding=1, padding_value=value), framed)
    np.testing.assert_array_equal(cf.apply(SAMPLES, f"box:1,padding=1,padding_value={value}"), framed)
    np.testing.assert_array_equal(filtered("-f", "box:1", "--padding", "1", "--padding-value", str(value)), framed)
    weight = np.ones((1, 1, 1, 1))
    np.testing.assert_array_equal(cf.conv2d(SAMPLES, weight, padding=1, padding_value=value), framed)


def test_the_nearest_source_of_options_sets_the_padding() -> None:
    zeros, wrapped = np.pad(SAMPLES, 1), np.pad(SAMPLES, 1, mode="wrap")
    padded = ["-f", "box:1", "--padding", "1"]
    Path("convfilter.toml").write_text('padding-mode = "wrap"\n')
    np.testing.assert_array_equal(filtered(*padded), wrapped)
    np.testing.assert_array_equal(filtered(*padded, "--padding-value", "0"), zeros)
    Path("convfilter.toml").write_text("padding-value = 0\n")
    np.testing.assert_array_equal(filtered(*padded), zeros)
    np.testing.assert_array_equal(filtered(*padded, "--padding-mode", "wrap"), wrapped)
    np.testing.assert_array_equal(filtered("-f", "box:1,padding=1,padding_mode=wrap", "-f", "box:1"), wrapped)
    # Of a stack, each filter takes of the defaults what its SPEC leaves open.
    stack = cf.apply(SAMPLES, "box:3,padding_mode=wrap", "box:3", padding_value=0)
    once = reference.box_sum(SAMPLES.astype(np.int64), (3, 3), padding_mode="wrap")
    expected = reference.box_sum(once, (3, 3), padding_mode="constant", padding_value=0) / 81
    np.testing.assert_array_equal(stack, np.rint(expected).astype(np.uint8))


@pytest.mark.parametrize(
    "arguments",
    [
        ("-f", "box:3,padding_mode=wrap,padding_value=0"),
        ("-f", "box:3", "--padding-mode", "reflect", "--padding-value", "0"),
        ("-f", "box:3,padding_mode=edge", "--padding-value", "7"),
    ],
)
def test_a_padding_value_that_nothing_reads_is_refused(
    arguments: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["apply", *arguments, "in.png", "out.png"]) == 2
    assert "padding_value is for padding mode constant, got" in capfd.readouterr().err


@pytest.mark.parametrize("option", ["into", "ext", "suffix", "html", "depfile", "files-from", "background", "padding"])
def test_an_empty_text_is_no_value(option: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", "-f", "box:3", f"--{option}", "", "in.png", "out.png"]) == 2
    assert f"--{option}: a value is needed, got an empty text" in capfd.readouterr().err
    assert not Path("out.png").exists()


def test_a_command_switches_off_what_the_configuration_switches_on() -> None:
    Image.fromarray(np.dstack([SAMPLES] * 3)).save("in.png")
    Path("convfilter.toml").write_text("gray = true\nflip = true\n[apply]\ngray = false\nflip = false\n")
    kernel = "kernel:1 0 0"
    np.testing.assert_array_equal(filtered("-f", kernel), cf.apply(np.dstack([SAMPLES] * 3), kernel))
