from __future__ import annotations

import copy
import pickle
import re
import threading
import typing
from pathlib import Path

import numpy as np
import pytest

from convfilter.record import NamedTuple, cached_property, field, is_record, record, replace


@record
class Place:
    row: int
    col: int = 0

    def __post_init__(self) -> None:
        if self.row < 0:
            raise ValueError(f"row must be at least 0, got {self.row}")


@record
class Cell(Place):
    name: str = "cell"


@record
class Other:
    row: int
    col: int = 0


@record(eq=False)
class Samples:
    values: object


def test_fields_are_taken_by_place_and_by_name_with_their_defaults() -> None:
    assert (Place(2).row, Place(2).col) == (2, 0)
    cell = Cell(1, name="c", col=3)
    assert (cell.row, cell.col, cell.name) == (1, 3, "c")
    with pytest.raises(TypeError):
        Place()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Place(1, depth=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing are row"):
        Place(col=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unknown are depth"):
        Place(1, depth=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="got 3 values"):
        Place(1, 2, 3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="given twice are row"):
        Place(1, row=2)  # type: ignore[misc]


def test_records_of_one_class_are_equal_if_their_fields_are() -> None:
    assert Place(1, 2) == Place(1, 2)
    assert hash(Place(1, 2)) == hash(Place(1, 2))
    assert Place(1, 2) != Place(1, 3)
    assert Cell(1, name="a") != Cell(1, name="b")
    assert {Place(1): "there"}[Place(1)] == "there"


def test_records_of_two_classes_are_never_equal() -> None:
    assert Place(1, 2) != Other(1, 2)
    assert Place(1, 2) != Cell(1, 2)
    assert Place(1, 2) != (1, 2)


def test_a_record_without_eq_equals_only_itself() -> None:
    samples = Samples(np.zeros(2))
    assert samples == samples  # noqa: PLR0124
    assert samples != Samples(samples.values)
    assert len({samples, Samples(samples.values)}) == 2


def test_a_record_shows_its_fields() -> None:
    assert repr(Cell(1)) == "Cell(row=1, col=0, name='cell')"
    assert repr(Samples(None)) == "Samples(values=None)"


def test_records_are_copied_with_other_values_and_pickled() -> None:
    assert replace(Cell(1, 2), col=5) == Cell(1, 5)
    assert Cell.__match_args__ == ("row", "col", "name")
    assert pickle.loads(pickle.dumps(Cell(1, 2, "x"))) == Cell(1, 2, "x")
    with pytest.raises(ValueError, match="at least 0, got -1"):
        replace(Place(1), row=-1)


class Measured:
    def __init__(self, other: Measured | None = None) -> None:
        self.other, self.computed = other, 0

    @cached_property
    def size(self) -> int:
        """How large it is."""
        self.computed += 1
        if self.other is not None:  # as a signal handler does that waits for threads
            beside = threading.Thread(target=lambda other: other.size, args=(self.other,), daemon=True)
            beside.start()
            beside.join(20)
            assert not beside.is_alive()
        return 7


def test_a_cached_property_is_computed_once() -> None:
    measured = Measured()
    assert (measured.size, measured.size, measured.computed) == (7, 7, 1)
    assert Measured.size.__doc__ == "How large it is."


def test_a_cached_property_can_wait_for_threads_that_need_it_too() -> None:
    assert Measured(Measured()).size == 7


def test_is_record_rejects_other_values() -> None:
    assert is_record(Place(1))
    assert not is_record(Place)
    assert not is_record((1, 2))


@record(frozen=False)
class Sheet:
    name: str = ""
    cells: list[Cell] = field(factory=list)


def test_a_default_may_be_made_anew_for_each_record() -> None:
    first, second = Sheet("a"), Sheet("b")
    first.cells.append(Cell(1))
    assert (first.cells, second.cells) == ([Cell(1)], [])
    assert Sheet("a", [Cell(2)]).cells == [Cell(2)]
    assert replace(first, name="c").cells is first.cells
    with pytest.raises(TypeError, match="unknown are rows"):
        Sheet(rows=1)  # type: ignore[call-arg]
    first.name = "d"
    assert first == Sheet("d", [Cell(1)])


class Pair(NamedTuple):
    """Two numbers."""

    row: int
    col: int = 0

    @property
    def area(self) -> int:
        return self.row * self.col


class Model(typing.NamedTuple):
    row: int
    col: int = 0


class NamedPair(Pair):
    pass


class Nothing(NamedTuple):
    """A message without values."""


def test_a_named_tuple_may_have_no_fields() -> None:
    assert Nothing() == () and repr(Nothing()) == "Nothing()"
    with pytest.raises(TypeError, match="got 1 values"):
        Nothing(1)  # type: ignore[call-arg]


def test_named_tuples_are_those_of_typing() -> None:
    for values, named in (((2, 3), {}), ((2,), {}), ((2,), {"col": 3}), ((), {"col": 3, "row": 2})):
        pair, model = Pair(*values, **named), Model(*values, **named)
        assert pair == model == tuple(pair)
        assert hash(pair) == hash(model)
        assert (pair.row, pair.col) == (model.row, model.col)
        assert repr(pair) == repr(model).replace("Model", "Pair")
        assert pair._asdict() == model._asdict()
        assert pair._replace(row=7) == model._replace(row=7)
        assert type(pair._replace(row=7)) is Pair
        assert pickle.loads(pickle.dumps(pair)) == copy.copy(pair) == pair
        assert not is_record(pair)
    assert Pair._fields == Model._fields == Pair.__match_args__
    assert Pair(2, 3).area == 6
    assert type(NamedPair(2)._replace(col=5)) is NamedPair
    with pytest.raises(AttributeError):
        Pair(1).row = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Pair(1).depth = 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("values", "named", "problem"),
    [
        ((), {}, "Pair has the fields row, col; missing are row"),
        ((1,), {"depth": 2}, "unknown are depth"),
        ((1,), {"row": 2}, "given twice are row"),
        ((1, 2, 3), {}, "got 3 values"),
        ((), {"col": 1, "depth": 2}, "missing are row"),
    ],
)
def test_fields_of_named_tuples_are_checked(values: tuple[int, ...], named: dict[str, int], problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        Pair(*values, **named)


def test_modules_that_every_run_imports_define_their_named_tuples_in_microseconds() -> None:
    package = Path(record.__code__.co_filename).parent
    slow = {path.name for path in package.rglob("*.py") if re.search(r"typing.*NamedTuple", path.read_text())}
    # The text of image.py decides which compiled loops are current; Numba compiles those of loops.
    assert slow == {"record.py", "image.py", "correlate.py"}
