"""Tone curves: decoding and encoding without loss, and the curve of each profile."""

import struct

import numpy as np
import pytest

from convfilter.errors import ReadError
from convfilter.picture.frame import Frame
from convfilter.picture.metadata import icc, icc_curves
from convfilter.picture.metadata.curves import (
    BT709,
    LINEAR,
    SRGB,
    ParametricCurve,
    SampledCurve,
    delinearized,
    linearized,
)
from convfilter.picture.metadata.metadata import Metadata
from convfilter.picture.metadata.transfer import curve_of
from convfilter.picture.picture import Picture

CURVES = {
    "sRGB": SRGB,
    "BT.709": BT709,
    "linear": LINEAR,
    "gamma 1.8": ParametricCurve(1.8),
    "table": SampledCurve(np.linspace(0, 1, 300) ** 2.2),
}


def srgb(x):
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def profile(curves, space=b"RGB "):
    """A profile with nothing but curves."""
    tags, body = [], b""
    start = 132 + 12 * len(curves)
    for name, data in curves.items():
        tags.append(struct.pack(">4sII", name, start + len(body), len(data)))
        body += data.ljust(-(-len(data) // 4) * 4, b"\0")
    head = bytes(16) + space + b"XYZ " + bytes(12) + b"acsp" + bytes(88)
    return head + struct.pack(">I", len(curves)) + b"".join(tags) + body


def curv(*values):
    return b"curv" + bytes(4) + struct.pack(f">I{len(values)}H", len(values), *values)


def para(kind, *values):
    fixed = [round(value * 65536) for value in values]
    return b"para" + bytes(4) + struct.pack(f">HH{len(values)}i", kind, 0, *fixed)


def rgb_profile(curve):
    return profile(dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve))


def test_srgb_is_the_standard():
    x = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(SRGB.decode(x), srgb(x), atol=1e-12)
    np.testing.assert_allclose(SRGB.decode_table(255), srgb(np.arange(256) / 255), atol=1e-7)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", CURVES)
def test_integers_come_back(name, dtype):
    white = np.iinfo(dtype).max
    samples = np.arange(white + 1, dtype=dtype).reshape(-1, 64)
    light = linearized(samples, CURVES[name], alpha=False)
    assert light.dtype == np.float32 and light.min() == 0 and light.max() == 1
    np.testing.assert_array_equal(delinearized(light, CURVES[name], False, dtype), samples)


@pytest.mark.parametrize("name", ["sRGB", "BT.709", "linear", "gamma 1.8"])
def test_floats_come_back_even_beyond_their_range(name):
    samples = np.linspace(-0.5, 3, 701, dtype=np.float32).reshape(1, -1)
    light = linearized(samples, CURVES[name], alpha=False)
    assert (np.diff(light[0]) > 0).all()
    np.testing.assert_allclose(delinearized(light, CURVES[name], False, np.float32), samples, atol=2e-6)


def test_opacity_is_not_curved():
    samples = np.array([[[0, 0], [128, 128], [255, 255]]], np.uint8)
    light = linearized(samples, SRGB, alpha=True)
    np.testing.assert_allclose(light[0, :, 1], [0, 128 / 255, 1])
    np.testing.assert_allclose(light[0, 1, 0], srgb(128 / 255), rtol=1e-6)
    np.testing.assert_array_equal(delinearized(light, SRGB, True, np.uint8), samples)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (curv(), LINEAR),
        (curv(round(2.2 * 256)), ParametricCurve(563 / 256)),
        (para(0, 1.8), ParametricCurve(1.8)),
        (para(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045), SRGB),
        (para(1, 2.0, 1.0, 0.0), ParametricCurve(2.0)),
        (para(4, 2.0, 0.9, 0.1, 0.0, 0.0, 0.0, 0.0), ParametricCurve(2.0, 0.9, 0.1)),
        (para(4, 2.0, 0.8, 0.1, 0.5, 0.25, 0.125, 0.0625), ParametricCurve(2.0, 0.8, 0.1, 0.5, 0.25, 0.125, 0.0625)),
        (curv(0, 16384, 65535), SampledCurve(np.array([0, 16384 / 65535, 1]))),
    ],
)
def test_curves_of_profiles(curve, expected):
    x = np.linspace(0, 1, 257)
    found = icc_curves.curve_of(rgb_profile(curve))
    np.testing.assert_allclose(found.decode(x), expected.decode(x), atol=1e-4)
    gray = icc_curves.curve_of(profile({b"kTRC": curve}, b"GRAY"))
    np.testing.assert_allclose(gray.decode(x), expected.decode(x), atol=1e-4)


def test_a_table_of_srgb_is_srgb():
    values = np.rint(srgb(np.linspace(0, 1, 1024)) * 65535).astype(int)
    assert icc_curves.curve_of(rgb_profile(curv(*values))) is SRGB


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"rubbish" * 40,
        profile({}),
        profile({b"rTRC": curv(), b"gTRC": curv()}),
        profile({b"rTRC": curv(), b"gTRC": curv(), b"bTRC": curv(563)}),
        rgb_profile(curv(0, 65535, 0)),
        rgb_profile(curv(0, 40_000, 20_000, 65535)),
        rgb_profile(curv(7, 7)),
        rgb_profile(curv(0)),
        rgb_profile(b"curv" + bytes(4) + struct.pack(">I", 2**31)),
        rgb_profile(para(7, 1.0)),
        rgb_profile(para(0)),
        rgb_profile(b"mft2" + bytes(20)),
        rgb_profile(curv())[:150],
    ],
)
def test_profiles_without_a_simple_curve(data):
    assert icc_curves.curve_of(data) is None


def picture_with(model="rgb", **metadata):
    shape = {"gray": (2, 2), "rgb": (2, 2, 3), "cmyk": (2, 2, 4)}[model]
    return Picture([Frame(np.zeros(shape, np.uint8))], model, metadata=Metadata(**metadata))


def test_curve_of_a_picture():
    gamma = struct.pack(">I", 50000)
    assert curve_of(picture_with()) is SRGB
    assert curve_of(picture_with(icc=rgb_profile(para(0, 1.8)))).gamma == pytest.approx(1.8, abs=1e-4)
    assert curve_of(picture_with(png=[(b"gAMA", gamma)])).gamma == 2.0
    # 1 / 2.2, also as inexact writers round it, means sRGB.
    for rounded in (45455, 45454, 45000):
        assert curve_of(picture_with(png=[(b"gAMA", struct.pack(">I", rounded))])) is SRGB
    # With other primaries it means a power, as of Adobe RGB.
    adobe_rgb = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
    power = curve_of(picture_with(png=[(b"gAMA", struct.pack(">I", 45471)), (b"cHRM", adobe_rgb)]))
    assert power.d == 0 and power.gamma == pytest.approx(563 / 256, abs=1e-4)
    assert curve_of(picture_with(png=[(b"gAMA", gamma), (b"sRGB", b"\0")])) is SRGB
    assert curve_of(picture_with(png=[(b"cICP", bytes([1, 8, 0, 1]))])) is LINEAR
    # A profile for another model says nothing about this picture.
    assert curve_of(picture_with("gray", icc=rgb_profile(para(0, 1.8)))) is SRGB


def test_no_curve_is_an_error():
    with pytest.raises(ReadError, match="CMYK"):
        curve_of(picture_with("cmyk"))
    with pytest.raises(ReadError, match="ICC profile"):
        curve_of(picture_with(icc=profile({})))
    with pytest.raises(ReadError, match="transfer function 16"):
        curve_of(picture_with(png=[(b"cICP", bytes([9, 16, 0, 1]))]))


def test_model_of_a_profile():
    assert icc.model_of(profile({}, b"GRAY")) == "gray"
    assert icc.fits(profile({}, b"CMYK"), "cmyk")
    assert not icc.fits(profile({}, b"RGB "), "gray")
    assert icc.model_of(profile({}, b"Lab ")) is None
    assert icc.model_of(b"short") is None
