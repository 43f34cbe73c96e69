"""Weights from files and inline text: exact values, and errors."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convfilter
from convfilter.errors import KernelFileError
from convfilter.filters import kernel_files
from convfilter.filters.kernel_files import load

LECTURE = [[2, 2, 2], [0, 1, 0], [2, 0, 1]]


def written(folder: Path, text: str, name: str = "k.txt") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        "2 2 2\n0 1 0\n2 0 1\n",
        "2,2,2\n0,1,0\n2,0,1",
        "# a comment\n\n2, 2, 2,\n0\t1  0 # and one here\n2 0 +1.0\n",
        "2 2 2; 0 1 0; 2 0 1",
        "\ufeff2 2 2\r\n0 1 0\r\n2 0 1e0\r\n",
        "3 3 1 0\n2 2 2\n0 1 0\n2 0 1\n",
        "3 3\n2 2 2\n0 1 0\n2 0 1\n",
    ],
)
def test_text_forms_of_one_matrix(tmp_path: Path, text: str) -> None:
    loaded = load(written(tmp_path, text))
    assert np.array_equal(loaded.kernel.weights, LECTURE)
    assert (loaded.kernel.divisor, *loaded[1:]) == (1, 0, 0, "")


@pytest.mark.parametrize("text", ["2 2 2; 0 1 0; 2 0 1", "2,2,2;0,1,0;2,0,1", "2 2 2\n0 1 0\n2 0 1"])
def test_inline_forms_of_one_matrix(text: str) -> None:
    assert np.array_equal(load(text)[0].weights, LECTURE)


def test_one_row_and_one_weight_inline() -> None:
    assert load("1 0 -1")[0].shape == (1, 3)
    assert load("1;0;-1")[0].shape == (3, 1)
    assert load("-3")[0].weights.item() == -3


SHARPEN = [[0, -0.25, 0], [-0.25, 2, -0.25], [0, -0.25, 0]]
ROW = [[0.1, 0.8, 0.1]]
CSV = "read as a CSV: semicolons separate the weights of a row"
COMMAS = "commas are read as decimal points"


@pytest.mark.parametrize(
    ("text", "weights", "remark"),
    [
        ("0;-0.25;0\n-0.25;2;-0.25\n0;-0.25;0\n", SHARPEN, CSV),
        ("0; -0.25; 0\r\n-0.25; 2; -0.25\r\n0; -0.25; 0\r\n", SHARPEN, CSV),
        ("0;-0,25;0\n-0,25;2;-0,25\n0;-0,25;0\n", SHARPEN, f"{CSV}, and {COMMAS}"),
        ("0,0;-0,25;0,0\n-0,25;2,0;-0,25\n0,0;-0,25;0,0\n", SHARPEN, f"{CSV}, and {COMMAS}"),
        ("1;2;3;\n4;5;6;\n", [[1, 2, 3], [4, 5, 6]], CSV),
        ("0 -0,25 0\n-0,25 2 -0,25\n0 -0,25 0\n", SHARPEN, COMMAS),
        ("0\t-,25\t0\n-,25\t2\t-,25\n0\t-,25\t0\n", SHARPEN, COMMAS),
        ("0,1 0,8 0,1", ROW, COMMAS),
        ("1e-1 0,8 1,0e-1", ROW, COMMAS),
        ("1 2;\n3 4;\n", [[1, 2], [3, 4]], ""),
        ("1;\n2;\n3;\n", [[1], [2], [3]], ""),
        ("1 2; 3 4\n5 6; 7 8\n", [[1, 2], [3, 4], [5, 6], [7, 8]], ""),
        ("1,2,3; 4,5,6\n", [[1, 2, 3], [4, 5, 6]], ""),
        ("1, 2, 3; 4, 5, 6\n", [[1, 2, 3], [4, 5, 6]], ""),
        ("1,0;0,-1\n", [[1, 0], [0, -1]], ""),
        ("0,1,0,8\n", [[0, 1, 0, 8]], ""),
        ("1,5\n2,5\n", [[1, 5], [2, 5]], ""),
        ("[[1,2],[3,4]]", [[1, 2], [3, 4]], ""),
        ("[[1, 2],\n [3, 4],\n]", [[1, 2], [3, 4]], ""),
        ("[[1. 2.]\n [3. 4.]]\n", [[1, 2], [3, 4]], ""),
        ("array([[ 1. , -2.5],\n       [ 3. ,  4. ]])", [[1, -2.5], [3, 4]], ""),
        ("np.array([[1/3, 2/3]])", [[1 / 3, 2 / 3]], ""),
        ("{{1, 2}, {3, 4}}", [[1, 2], [3, 4]], ""),
        ("((1, 2), (3, 4))", [[1, 2], [3, 4]], ""),
        ("[1 2; 3 4]", [[1, 2], [3, 4]], ""),
        ("[1, 2, 3]", [[1, 2, 3]], ""),
        ("# one\n[[1, 2],  # two\n [3, 4]]", [[1, 2], [3, 4]], ""),
    ],
)
def test_kernels_as_other_programs_write_them(
    tmp_path: Path, text: str, weights: list[list[float]], remark: str
) -> None:
    path = written(tmp_path, text)
    loaded = load(path)
    np.testing.assert_array_equal(loaded.kernel.weights, weights)
    assert loaded.remark == (f"{path}: {remark}" if remark else "")


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("[[1,2],[3,4]]", [[1, 2], [3, 4]]),
        ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ("[[0,1,0],[1,-4,1],[0,1,0]]", [[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
        ("[1 2; 3 4]", [[1, 2], [3, 4]]),
        ("1,2;3,4", [[1, 2], [3, 4]]),
        ("1;2;3", [[1], [2], [3]]),
        ("0,1 0,8 0,1", ROW),
    ],
)
def test_inline_kernels_reach_the_picture_through_a_spec(text: str, weights: list[list[float]]) -> None:
    image = np.arange(20, dtype=np.uint8).reshape(4, 5)
    np.testing.assert_array_equal(convfilter.apply(image, f"kernel:{text}"), convfilter.convolve(image, weights))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1;2;3\n", "'1;2;3' may be a row or a column, or have decimal commas; write decimals with a point"),
        ("0,5;0,25\n", "'0,5;0,25' may be a row or a column, or have decimal commas"),
        ("1,5;0,25;1,5\n", "may be a row or a column, or have decimal commas"),
        ("1,2;3,4\n5,6;7,8\n", "'1,2;3,4' may be a row or a column, or have decimal commas"),
        ("1,2 3,4\n", "line 1: '1,2 3,4' may have decimal commas, or commas between weights; write decimals"),
        ("1 2\n1,000 2,000\n", "line 2: '1,000 2,000' may have decimal commas"),
        ("0,5\n0,25\n0,5\n", "line 1: '0,5' may be a decimal, or two weights"),
        ("1;2\n3\n", "line 1 has 2, line 2 has 1"),
        ("1;;2\n3;4;5\n", "line 1: a weight is missing next to a semicolon"),
        ("[[1, 2], [3]]", "row 1 has 2, row 2 has 1"),
        ("[[[1, 2]]]", "rows in brackets look like [[1, 2], [3, 4]], got '[[[1, 2]]]'"),
        ("[[1, 2], 3]", "rows in brackets look like"),
        ("[[1, 2], [3, 4]", "rows in brackets look like"),
        ("[1, 2", "a bracket is missing at the end of '[1, 2'"),
        ("[1 2\n3 4]", "lines in brackets may be one row or several"),
        ("[]", "at least one weight, got none"),
        ("[" * 5000, "a bracket is missing at the end of '[[[["),
        ("[" * 5000 + "]" * 5000, "rows in brackets look like"),
        ("9" * 100_000, "weights must be finite, got 999"),
        ("1e308 1e308 1e308", "the magnitudes of the weights sum to inf, above 1e+300"),
        ("1e308 -1e308", "the magnitudes of the weights sum to inf"),
        ("3 1 1e-300\n1e30 1\n".replace("3 1", "2 1"), "the magnitudes of the weights sum to inf"),
        ("2 1 1e308\n0.1 0.3\n", "use smaller weights"),
        ("1\0 2", "line 1, weight 1: a weight must be a number or a fraction, got '1\\x00'"),
    ],
)
def test_text_that_may_be_several_kernels_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(KernelFileError) as caught:
        load(written(tmp_path, text))
    assert message in str(caught.value)
    assert len(str(caught.value)) < len(str(tmp_path)) + 300


@pytest.mark.parametrize("text", ["0,5;0,25", "0,5", "1,2 3,4", "[[1, 2]", "1e308 1e308", "kernel\0.txt", "\0"])
def test_inline_text_that_makes_no_kernel_is_refused(text: str) -> None:
    with pytest.raises(KernelFileError) as caught:
        load(text)
    assert "\0" not in str(caught.value)


def test_large_weights_that_normalize_are_kept() -> None:
    assert np.array_equal(load("1e308 1e308", normalize=True).kernel.weights, [[0.5, 0.5]])
    assert np.array_equal(load("1e299 0").kernel.weights, [[1e299, 0]])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_matrix_file_adds_its_offset_in_samples(tmp_path: Path, dtype: type) -> None:
    """As ``vips conv in.v out.v k.mat`` of libvips 8.14 does: 9 becomes 137, 256 becomes 384, 0.09 becomes 128.09."""
    path = written(tmp_path, "3 1 1 128\n0 1 0\n", "k.mat")
    image = np.array([[8, 100]]).astype(dtype)
    np.testing.assert_array_equal(convfilter.apply(image, f"kernel:{path}"), image + dtype(128))
    halved = written(tmp_path, "3 1 2 1\n0 1 0\n", "half.mat")
    np.testing.assert_array_equal(convfilter.apply(image, f"kernel:{halved}"), (image / 2 + 1).astype(dtype))
    # In a stack, and replaced by an offset that was asked for.
    stack = convfilter.apply(image, f"kernel:{path}", "identity")
    np.testing.assert_array_equal(stack, image + dtype(128))
    np.testing.assert_array_equal(convfilter.apply(image, f"kernel:{path},offset=0"), image)


@pytest.mark.parametrize(
    ("text", "numerators", "divisor"),
    [
        ("1/9 1/9 1/9", [[1, 1, 1]], 9),
        ("1/2 1/3", [[3, 2]], 6),
        ("0.1 0.2 0.7", [[1, 2, 7]], 10),
        ("-.5 1e-2", [[-50, 1]], 100),
        ("1/3/1"[:3] + " 2", [[1, 6]], 3),
    ],
)
def test_fractions_and_decimals_become_whole_numerators(text: str, numerators: list[list[int]], divisor: int) -> None:
    kernel = load(text).kernel
    assert np.array_equal(kernel.matrix, numerators)
    assert kernel.divisor == divisor
    assert kernel.has_integer_numerators


@given(st.lists(st.fractions(max_denominator=40, min_value=-50, max_value=50), min_size=1, max_size=6))
def test_any_fractions_come_out_exactly(weights: list[Fraction]) -> None:
    kernel = load(" ".join(map(str, weights)) + ";").kernel
    assert [Fraction(int(top), int(kernel.divisor)) for top in kernel.matrix[0]] == weights


def test_numbers_too_long_for_fractions_are_read_as_floats() -> None:
    kernel = load("1e-999999999 3.14159265358979323846264338327950288419716939937510").kernel
    assert kernel.weights[0, 0] == 0
    assert kernel.weights[0, 1] == pytest.approx(np.pi, rel=1e-16)


def test_many_decimals_are_read_as_floats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_files, "MOST_FRACTIONS", 3)
    kernel = load(written(tmp_path, "0.1 0.2\n0.3 0.4")).kernel
    assert np.array_equal(kernel.weights, [[0.1, 0.2], [0.3, 0.4]])


def test_libvips_header_scales_and_offsets(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, "3 1 8 128\n1 2 1\n", "blur.mat"))
    assert np.array_equal(loaded.kernel.weights, [[1 / 8, 2 / 8, 1 / 8]])
    assert (loaded.offset, loaded.shift) == (0, 128)


def test_header_that_may_be_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KernelFileError, match=r"line 1 may be a header .* or a row of weights"):
        load(written(tmp_path, "2 1\n1 2\n"))
    assert np.array_equal(load(written(tmp_path, "2 1;\n1 2;\n"))[0].weights, [[2, 1], [1, 2]])
    assert np.array_equal(load(written(tmp_path, "2 1 2\n1 2\n"))[0].weights, [[0.5, 1]])


def test_normalize_divides_by_the_sum(tmp_path: Path) -> None:
    kernel = load("1 2 1; 2 4 2; 1 2 1", normalize=True).kernel
    assert kernel.divisor == 16
    with pytest.raises(KernelFileError, match="sum to zero"):
        load("1 0 -1", normalize=True)


@pytest.mark.parametrize(
    "content",
    [
        LECTURE,
        {"weights": LECTURE},
        {"weights": [["2", "2", "2"], [0, 1.0, 0], [2, "0/5", 1]], "scale": 1, "offset": 0},
    ],
)
def test_json(tmp_path: Path, content: object) -> None:
    assert np.array_equal(load(written(tmp_path, json.dumps(content), "k.json"))[0].weights, LECTURE)


def test_json_is_exact_scaled_and_may_be_one_row(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, '{"weights": [0.1, "1/3"], "scale": 2, "offset": 51}', "k.json"))
    assert np.array_equal(loaded.kernel.matrix, [[3, 10]])
    assert (loaded.kernel.divisor, loaded.offset, loaded.shift) == (60, 0, 51)


@pytest.mark.parametrize(("unit", "added"), [("samples", (0, 0.5)), ("full scale", (0.5, 0))])
def test_json_states_the_unit_of_its_offset(tmp_path: Path, unit: str, added: tuple[float, float]) -> None:
    text = json.dumps({"weights": LECTURE, "offset": 0.5, "unit": unit})
    assert load(written(tmp_path, text, "k.json"))[1:3] == added


def test_numpy_files(tmp_path: Path) -> None:
    np.save(tmp_path / "k.npy", np.array(LECTURE, np.int16))
    np.savez(tmp_path / "one.npz", anything=np.array(LECTURE, np.float32))
    np.savez_compressed(tmp_path / "two.npz", other=np.zeros(3), kernel=np.array(LECTURE))
    for name in ("k.npy", "one.npz", "two.npz"):
        assert np.array_equal(load(str(tmp_path / name))[0].weights, LECTURE)


def test_a_file_comes_before_inline_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "5 6", "1 2")
    assert np.array_equal(load("1 2")[0].weights, [[5, 6]])
    written(tmp_path, "7 8", "a,b=c.txt")
    assert np.array_equal(load("a,b=c.txt")[0].weights, [[7, 8]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one weight, got none"),
        ("# nothing\n", "at least one weight, got none"),
        ("1 2 3\n4 5\n", "line 1 has 3, line 2 has 2"),
        ("1 2\n3 x\n", "line 2, weight 2: a weight must be a number or a fraction, got 'x'"),
        ("1 nan\n", "line 1, weight 2: weights must be finite, got nan"),
        ("1 -inf\n", "weights must be finite, got -inf"),
        ("1e400\n", "weights must be finite, got 1e400"),
        ("1/0\n", "must not divide by zero, got 1/0"),
        ("1,,2\n", "line 1: a weight is missing next to a comma"),
        (",1\n", "line 1: a weight is missing next to a comma"),
        ("1_0 2\n", "got '1_0'"),
        ("1 / 9\n", "got '/'"),
        ("4 1 0\n1 2 3 4\n"[6:] + "1 2 3\n", "line 1 has 4, line 2 has 3"),
        ("4 1 0 0\n1 2 3\n", "line 1 has 4, line 2 has 3"),
        ("3 1 0\n1 2 3 \n".replace("3 1 0", "3 1 0 0"), "line 1: the scale divides the sum and must not be 0"),
    ],
)
def test_text_that_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(KernelFileError) as caught:
        load(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[1, 2], [3]]", "row 1 has 2, row 2 has 1"),
        ("[[1, NaN]]", "row 1, weight 2: weights must be finite, got NaN"),
        ("[[1, true]]", "a row in JSON is a list of numbers"),
        ("{}", "is a list of rows"),
        ('{"weight": [[1]]}', "got 'weight'"),
        ('{"weights": [[1]], "scale": 0}', "must not be 0"),
        ('{"weights": [[1]], "offset": 1, "unit": "levels"}', "must be one of samples, full scale, got 'levels'"),
        ("[[1, 2]", "this is not JSON"),
        ("[" * 100_000, "this is not JSON"),
        ("[]", "is a list of rows"),
        ("[[]]", "got none"),
        ("[[[1]]]", "a row in JSON is a list of numbers"),
    ],
)
def test_json_that_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(KernelFileError) as caught:
        load(written(tmp_path, text, "k.json"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numpy_files_that_are_refused(tmp_path: Path) -> None:
    arrays = {
        "complex": np.zeros((2, 2), complex),
        "words": np.array([["a"]]),
        "pickled": np.array([[None]], dtype=object),
        "cube": np.zeros((2, 2, 2)),
        "nan": np.array([[1, np.nan]]),
        "none": np.zeros((0, 3)),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=True)
    np.savez(tmp_path / "several.npz", a=np.zeros(2), b=np.zeros(2))
    np.savez(tmp_path / "pickled.npz", arrays["pickled"])
    written(tmp_path, "", "empty.npy")
    written(tmp_path, "no array", "text.npy")
    written(tmp_path, "PK\x03\x04 no archive", "broken.npz")
    whole = (tmp_path / "nan.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-5])
    (tmp_path / "huge.npy").write_bytes(whole.replace(b"(1, 2), }     ", b"(99999, 9999)}"))
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(KernelFileError) as caught:
            load(str(path))
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_arrays_beyond_the_limit_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_files, "MOST_WEIGHTS", 8)
    np.save(tmp_path / "k.npy", np.ones(9))
    np.savez_compressed(tmp_path / "k.npz", np.ones(4096))
    for name in ("k.npy", "k.npz"):
        with pytest.raises(KernelFileError, match=r"weights may take 0 MB, an array of shape \("):
            load(str(tmp_path / name))


def test_files_that_are_no_kernel_files(tmp_path: Path) -> None:
    (tmp_path / "binary.txt").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    (tmp_path / "large.txt").write_bytes(b"1 " * (9 << 20))
    for name, message in {
        "binary.txt": "a kernel file is text",
        "large.txt": "may take 16 MB",
        "missing.txt": "there is no such kernel file",
        "": "this is a folder",
    }.items():
        with pytest.raises(KernelFileError, match=message):
            load(str(tmp_path / name))


@pytest.mark.parametrize("name", ["", "  "])
def test_a_name_that_cannot_be_seen_is_quoted(name: str) -> None:
    with pytest.raises(KernelFileError, match=f"^'{name}': there is no such kernel file"):
        load(name)


def test_messages_stay_on_one_line() -> None:
    with pytest.raises(KernelFileError) as caught:
        load("no\nsuch\x1b[1mfile")
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


@given(st.text(max_size=20))
def test_any_text_gives_weights_or_a_kernel_error(text: str) -> None:
    try:
        kernel = load(text + ";").kernel
    except KernelFileError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert np.all(np.isfinite(kernel.weights))
