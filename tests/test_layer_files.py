"""Unusual, damaged or hostile files of weights: read exactly, or refused in one sentence."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convfilter.errors import KernelFileError
from convfilter.filters import kernel_files, layer_files


def tensors(path: Path, header: Any, data: bytes = b"") -> str:
    """Write a .safetensors file byte by byte."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return str(path)


def entry(kind: str, count: int, width: int, **changes: Any) -> dict[str, Any]:
    return {"weight": {"dtype": kind, "shape": [count, 1, 1, 1], "data_offsets": [0, count * width], **changes}}


#: Finite numbers of 8 bits, and their values: sign, exponent, fraction.
FLOAT8 = {
    "F8_E4M3": {0x00: 0.0, 0x01: 2.0**-9, 0x07: 7 * 2.0**-9, 0x08: 2.0**-6, 0x38: 1.0, 0xBC: -1.5, 0x7E: 448.0},
    "F8_E5M2": {0x00: 0.0, 0x01: 2.0**-16, 0x04: 2.0**-14, 0x3C: 1.0, 0xBE: -1.5, 0x7B: 57344.0},
}


@pytest.mark.parametrize("dtype", FLOAT8)
def test_floats_of_8_bits(tmp_path: Path, dtype: str) -> None:
    codes, values = zip(*FLOAT8[dtype].items(), strict=True)
    path = tensors(tmp_path / "a.safetensors", entry(dtype, len(codes), 1), bytes(codes))
    assert layer_files.load(path).operator.weight.ravel().tolist() == list(values)  # type: ignore[union-attr]
    with pytest.raises(KernelFileError, match=r"weight must be finite, got nan at \(0, 0, 0, 0\)"):
        layer_files.load(tensors(tmp_path / "nan.safetensors", entry(dtype, 1, 1), b"\x7f"))


def test_floats_of_16_bits(tmp_path: Path) -> None:
    values = np.array([0, 1, -1.5, 3.140625, 2.0**-126, 3.3895314e38], np.float32)
    data = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    path = tensors(tmp_path / "a.safetensors", entry("BF16", 6, 2), data)
    assert np.array_equal(layer_files.load(path).operator.weight.ravel(), values)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (entry("F4", 1, 1), b"\0", "'weight' has the type 'F4'; the supported types are F64, F32,"),
        (entry("BOOL", 1, 1), b"\1", "weight must hold real numbers, got bool"),
        (entry("F32", 2, 4), bytes(7), "cannot lie at [0, 8] of 7 bytes"),
        (entry("F32", 2, 4, data_offsets=[0, 4]), bytes(8), "cannot lie at [0, 4] of 8 bytes"),
        (entry("F32", 2, 4, data_offsets=[-8, 0]), bytes(8), "cannot lie at [-8, 0] of 8 bytes"),
        (entry("F32", 2, 4, shape=[2, 1, 1, -1]), bytes(8), "its sides must be whole numbers"),
        (entry("F32", 2, 4, shape=[1] * 200), bytes(8), "cannot lie at [0, 8] of 8 bytes"),
        (entry("F32", 2, 4, shape=None), bytes(8), "this is not a usable .safetensors file"),
        (entry("F32", 2, 4, dtype=[]), bytes(8), "this is not a usable .safetensors file"),
        ({"weight": 1}, b"", "this is not a usable .safetensors file"),
        ([], b"", "this is not a usable .safetensors file"),
        ({"__metadata__": 5, **entry("F32", 1, 4)}, bytes(4), "this is not a usable .safetensors file"),
        (b'{"weight":' + b"[" * 100_000, b"", "this is not a usable .safetensors file: it is nested too deeply"),
        (b'{"weight":' + b"9" * 100_000 + b"}", b"", "it holds a number of too many digits"),
        (b"\xff\xfe", b"", "this is not a usable .safetensors file"),
        (b"", b"", "its header would have 0 bytes, and 0 follow"),
        ({f"{'x' * 300}{i}": 1 for i in range(60)}, b"", "a layer has an array called weight, got xxx"),
        ({"x" * 3000: 1, **entry("F32", 1, 4)}, bytes(4), "does not belong to a layer"),
    ],
)
def test_safetensors_that_are_refused(tmp_path: Path, header: Any, data: bytes, message: str) -> None:
    path = tensors(tmp_path / "a.safetensors", header, data)
    with pytest.raises(KernelFileError) as caught:
        layer_files.load(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < len(path) + 300


def array_file(shape: object = (1, 1, 1, 1), descr: object = "<f8", data: bytes = bytes(8), head: str = "") -> bytes:
    """Write an .npy file with any header."""
    text = head or repr({"descr": descr, "fortran_order": False, "shape": shape})
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n" + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (array_file()[:-3], "the file ends early: 5 of 8 bytes of weights are there"),
        (array_file((1, 1, 1, -1)), "no side of an array is negative, got the shape (1, 1, 1, -1)"),
        (array_file((1, 10**9, 10**9, 9)), "weights may take 256 MB, an array of shape (1, 1000000000, 1000000000, 9)"),
        (array_file((1,) * 64), "none of them 0, got (1, 1, 1, 1,"),
        (array_file((10**30,)), "weights may take 256 MB"),
        (array_file(descr="|O8"), "this is not a usable .npy file: an array must hold numbers, got object"),
        (array_file(descr=[(f"f{i}", "<f4") for i in range(300)]), "this is not a usable .npy file"),
        (array_file(descr="<M8[s]"), "an array must hold numbers, got datetime64[s]"),
        (array_file(head="(" * 9000), "this is not a usable .npy file: "),
        (array_file(head="{'descr': " + "9" * 5000), "this is not a usable .npy file: "),
        (array_file(head="{'de\"scr': 1}"), "this is not a usable .npy file: "),
        (array_file().replace(b"\1\0", b"\7\7", 1), "an array file has version 1.0, 2.0 or 3.0, got 7.7"),
        (b"\x93NUMPY", "this is not a usable .npy file: "),
        (b"\0" * 100, "this is not a usable .npy file: "),
    ],
)
def test_arrays_that_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    for load in (layer_files.load, kernel_files.load):
        with pytest.raises(KernelFileError) as caught:
            load(str(path))
        assert str(caught.value).startswith(f"{path}: ")
        assert len(str(caught.value)) < len(str(path)) + 300
        if load is layer_files.load:
            assert message in str(caught.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_are_read_by_any_method_and_damage_is_one_sentence(tmp_path: Path, method: int) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("weight.npy", array_file((1, 1, 20, 20), data=np.arange(400.0).tobytes()))
        archive.writestr("bias.npy", array_file((1,)))
    whole = path.read_bytes()
    assert layer_files.load(str(path)).operator.weight.sum() == 79800  # type: ignore[union-attr]
    refused = 0
    for at in range(0, len(whole), max(1, len(whole) // 200)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        path.write_bytes(damaged)
        try:
            layer_files.load(str(path))
        except KernelFileError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 100


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, weight=np.ones((1, 1, 1, 1)))
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(KernelFileError, match=r"this is not a usable .npz file: .*encrypted"):
        layer_files.load(str(path))


@pytest.mark.parametrize("load", [kernel_files.load, layer_files.load])
@pytest.mark.parametrize("name", ["a\0b.npy", "\0", "n" * 5000 + ".npy", "a\nb\x1b[31m.npy", "folder.npy"])
def test_names_that_name_no_weights(name: str, load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.npy").mkdir()
    with pytest.raises(KernelFileError) as caught:
        load(name)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
