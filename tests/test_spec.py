"""The grammar of a SPEC: precedence, and the positions of errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convfilter.errors import SpecError
from convfilter.filters.spec import FilterSpec, parse


def plain(spec: FilterSpec) -> tuple[str, str | None, dict[str, str]]:
    argument = None if spec.argument is None else spec.argument.text
    return spec.name.text, argument, {key: value.text for key, value in spec.options.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("laplacian", ("laplacian", None, {})),
        ("gaussian:4", ("gaussian", "4", {})),
        ("gaussian:4,stride=2", ("gaussian", "4", {"stride": "2"})),
        ("gaussian:stride=2", ("gaussian", None, {"stride": "2"})),
        ("box:5,padding=1,2,3,4,flip=true", ("box", "5", {"padding": "1,2,3,4", "flip": "true"})),
        ("kernel:1,2,1;2,4,2", ("kernel", "1,2,1;2,4,2", {})),
        ("kernel:1 2 1; 2 4 2", ("kernel", "1 2 1; 2 4 2", {})),
        ("kernel:a/b=c.txt", ("kernel", "a/b=c.txt", {})),
        ("kernel:file=a=b.txt", ("kernel", None, {"file": "a=b.txt"})),
        ("kernel:C:weights.txt", ("kernel", "C:weights.txt", {})),
        ("  gaussian : 4 , padding-mode = wrap ", ("gaussian", "4", {"padding_mode": "wrap"})),
    ],
)
def test_a_spec_has_name_argument_and_options(text: str, expected: tuple[str, str | None, dict[str, str]]) -> None:
    assert plain(parse(text)) == expected


def test_values_know_their_column() -> None:
    spec = parse("box:5x3, stride = 2,padding=1,2,3,4")
    assert spec.name.where.endswith("column 1")
    assert spec.argument is not None
    assert spec.argument.where == "'box:5x3, stride = 2,padding=1,2,3,4', column 5"
    assert spec.options["stride"].where.endswith("column 19")
    assert spec.options["padding"].where.endswith("column 29")


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "begins with its name"),
        ("   ", 1, "begins with its name"),
        (":4", 1, "begins with its name"),
        ("4", 1, "begins with its name"),
        ("box=3", 4, "a colon follows"),
        ("box 3", 5, "a colon follows"),
        ("box:", 5, "a value is missing"),
        ("box:3,", 7, "a value is missing"),
        ("box:3,,stride=2", 7, "a value is missing"),
        ("box:3,stride=", 7, "stride= needs a value"),
        ("box:3,stride=2,stride=3", 16, "given twice"),
    ],
)
def test_errors_name_the_column(text: str, column: int, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert f"column {column}: " in str(caught.value)


def test_a_long_text_is_shortened_in_messages() -> None:
    with pytest.raises(SpecError) as caught:
        parse("kernel:" + "1 " * 5000 + ",")
    assert len(str(caught.value)) < 150


def test_text_of_a_spec_says_the_same() -> None:
    for text in ("laplacian", "gaussian:4,stride=2", "box:padding=1,2,3,4", "kernel:1,2;3,4,normalize=true"):
        assert parse(text).text == text


@given(st.text(max_size=30))
def test_any_text_parses_or_is_a_spec_error_on_one_line(text: str) -> None:
    try:
        spec = parse(text)
    except SpecError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert plain(parse(spec.text)) == plain(spec)


def test_numpys_numbers_as_repr_writes_them() -> None:
    spec = parse(f"box:{np.int64(3)!r}x{np.uint8(5)!r},scale={np.float32(0.5)!r}")
    assert spec.argument is not None
    assert (spec.argument.text, spec.options["scale"].text) == ("3x5", "0.5")


def test_numbers_of_numpy_are_plain_numbers_wherever_they_stand() -> None:
    rows = [[*row] for row in np.eye(2)]
    parsed = parse(f"kernel:{rows},stride={np.int64(2)!r},padding={[*np.arange(4)]!r}")
    assert parsed.argument is not None
    assert parsed.argument.text == "[[1.0,0.0],[0.0,1.0]]"
    assert (parsed.options["stride"].text, parsed.options["padding"].text) == ("2", "[0,1,2,3]")
