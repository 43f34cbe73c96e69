"""Levels are fractions of full scale: numbers that look like samples are refused, and the error names the fraction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convfilter as cf
from convfilter.cli.root import run
from convfilter.errors import ParameterError

RAMP = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("value", [128, -128, 1.5, 255])
def test_an_offset_in_samples_is_refused_with_the_fraction_that_was_meant(dtype: type, value: float) -> None:
    full = np.iinfo(dtype).max
    message = f"from -1 to 1 on pictures of whole samples, got {value:g}; for {value:g} of {full:g} levels "
    message += f"write {value:g}/{full}"
    for filtered in (
        lambda: cf.convolve(RAMP.astype(dtype), [[1]], offset=value),
        lambda: cf.apply(RAMP.astype(dtype), "box:3", offset=value),
        lambda: cf.apply(RAMP.astype(dtype), f"box:3,offset={value}"),
        lambda: cf.apply(RAMP.astype(dtype), f"bias:{value}"),
        lambda: cf.apply(RAMP.astype(dtype), f"threshold:{value}"),
        lambda: cf.apply(RAMP.astype(dtype), f"clip:-1,high={abs(value)}" if value > 0 else f"clip:{value},high=1"),
        lambda: cf.apply(RAMP.astype(dtype), "gaussian:1", "maxpool:1", f"bias:{value}"),
        lambda: cf.plan(RAMP.shape, "box:3", f"bias:{value}", dtype=dtype),
    ):
        with pytest.raises(ParameterError) as caught:
            filtered()
        assert "is a fraction of full scale, " in str(caught.value)
        assert message in str(caught.value)


def test_beyond_all_samples_the_unit_is_named() -> None:
    with pytest.raises(ParameterError, match="got 256; 1 is full scale"):
        cf.apply(RAMP, "box:3,offset=256")


def test_offsets_that_can_be_fractions_of_full_scale_are_accepted() -> None:
    np.testing.assert_array_equal(cf.convolve(RAMP, [[0]], offset=-1), np.zeros_like(RAMP))
    np.testing.assert_array_equal(cf.apply(RAMP, "identity,offset=5/255".replace(",", ":")), RAMP + 5)
    real = RAMP.astype(np.float32)
    np.testing.assert_array_equal(cf.convolve(real, [[1]], offset=128), real + 128)
    np.testing.assert_array_equal(cf.apply(real, "bias:128"), real + 128)
    # After a gain, levels beyond full scale are kept: a contrast of 10 about mid-grey.
    contrast = np.clip(np.rint(10.0 * RAMP - 4.5 * 255), 0, 255)
    np.testing.assert_array_equal(cf.apply(RAMP, "scale:10", "bias:-4.5"), contrast)


def test_an_offset_may_be_as_large_as_the_gain_of_its_own_filter_though_filters_are_merged() -> None:
    merged = cf.apply(RAMP, "kernel:0.25,padding=valid", "kernel:2,offset=-1.5")
    np.testing.assert_array_equal(merged, np.zeros_like(RAMP))


def test_the_command_refuses_offsets_beyond_white_in_linear_light_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(RAMP).save("in.png")
    for arguments in ((), ("--linear",)):
        assert run(["blur", "--box", "3", "--offset", "128", *arguments, "in.png", "out.png"]) == 2
        said = capfd.readouterr().err
        assert "for 128 of 255 levels write 128/255" in said
        assert said.count("\n") == 1
    assert not Path("out.png").exists()
    assert run(["blur", "--box", "1", "--offset", "128/255", "in.png", "out.png"]) == 0
    with Image.open("out.png") as image:
        np.testing.assert_array_equal(np.asarray(image), np.minimum(RAMP.astype(int) + 128, 255))


def test_how_weights_were_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(RAMP).save("in.png")
    Path("k.csv").write_text("0,25;0,5;0,25\n0;0;0\n")
    remark = "k.csv: read as a CSV: semicolons separate the weights of a row, and commas are read as decimal points"
    for arguments in (
        ("convolve", "--kernel", "k.csv", "in.png", "out.png"),
        ("convolve", "--kernel", "k.csv", "in.png", "--into", "out"),
        ("kernel", "show", "kernel:k.csv"),
        ("plan", "-f", "kernel:k.csv", "--size", "8"),
    ):
        assert run([*arguments]) == 0
        assert remark in capfd.readouterr().err
    with Image.open("out.png") as image:
        np.testing.assert_array_equal(np.asarray(image), cf.convolve(RAMP, [[0.25, 0.5, 0.25], [0, 0, 0]]))
