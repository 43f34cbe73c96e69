"""Memory for bands of rows, and reading into it."""

import io

import numpy as np
import pytest

from convfilter.picture.band_memory import BandMemory
from convfilter.picture.place.source import read_into


@pytest.fixture
def memory():
    return BandMemory((4, 6), np.dtype(np.uint8))


def test_arrays_that_are_given_back_are_taken_again(memory):
    first, second = memory.take(), memory.take()
    assert first.shape == second.shape == (4, 6)
    assert first is not second
    memory.give_back(first)
    assert memory.take() is first
    assert memory.take() is not second


def test_a_view_gives_its_whole_array_back(memory):
    array = memory.take()
    memory.give_back(array[1:3].view(np.uint16).reshape(2, 1, 3)[:1])
    assert memory.take() is array


def test_arrays_of_other_shapes_and_types_are_not_taken(memory):
    for other in (np.empty((4, 5), np.uint8), np.empty((4, 6), np.int8), np.frombuffer(bytes(24), np.uint8)):
        memory.give_back(other)
    taken = memory.take()
    assert taken.shape == (4, 6)
    assert taken.dtype == np.uint8
    assert taken.flags.writeable


def test_an_array_that_another_thread_takes_first_is_allocated(memory):
    class Taken(list):
        """A list whose last item another thread takes once its length is known."""

        def __len__(self):
            return 1

    memory._free = Taken()
    assert memory.take().shape == (4, 6)


class Trickle:
    """A file that gives three bytes at a time, and cannot read into memory."""

    def __init__(self, content):
        self._file = io.BytesIO(content)

    def read(self, size):
        return self._file.read(min(size, 3))


class RawTrickle(io.RawIOBase):
    """The same for a file that can."""

    def __init__(self, content):
        self._file = io.BytesIO(content)

    def readinto(self, memory):
        return self._file.readinto(memory[:3])


@pytest.mark.parametrize("kind", [io.BytesIO, Trickle, RawTrickle])
def test_files_are_read_into_memory_up_to_their_end(kind):
    file, memory = kind(b"eleven byte"), np.zeros(7, np.uint8)
    assert read_into(file, memory.data) == 7
    assert memory.tobytes() == b"eleven "
    assert read_into(file, memory.data) == 4
    assert memory.tobytes() == b"byteen "
    assert read_into(file, memory.data) == 0
