"""Threads: results in order, errors in order, no thread left at the end."""

import threading
import time

import pytest

from convfilter.errors import ConvfilterError
from convfilter.picture.parallel import Crew, ahead, in_order


@pytest.mark.parametrize("threads", [1, 2, 7, None])
def test_results_come_in_order(threads):
    def slow_first(number):
        time.sleep(0.002 * (20 - number) / 20)
        return number * number

    assert list(in_order(slow_first, range(20), threads)) == [number * number for number in range(20)]
    assert list(in_order(slow_first, [], threads)) == []


def test_not_everything_is_done_ahead():
    done = []
    results = in_order(done.append, range(100), 2)
    next(results)
    time.sleep(0.05)
    assert len(done) <= 6
    results.close()


@pytest.mark.parametrize("threads", [1, 3])
def test_errors_come_in_their_turn(threads):
    def fail(number):
        if number == 5:
            raise ValueError("five")
        return number

    taken = []
    with pytest.raises(ValueError, match="five"):
        for each in in_order(fail, range(10), threads):
            taken.append(each)
    assert taken == [0, 1, 2, 3, 4]


def test_items_are_produced_ahead():
    assert list(ahead(iter(range(50)))) == list(range(50))
    assert list(ahead(iter([]))) == []


def test_error_of_the_producer():
    def numbers():
        yield 1
        raise ValueError("two")

    taken = []
    with pytest.raises(ValueError, match="two"):
        for each in ahead(numbers()):
            taken.append(each)
    assert taken == [1]


def test_no_thread_is_left():
    before = threading.active_count()
    items = ahead(iter(range(1000)))
    next(items)
    items.close()
    results = in_order(lambda number: number, range(1000), 3)
    next(results)
    results.close()
    assert threading.active_count() <= before  # helpers of a test before this one may have ended meanwhile


def test_items_processed_out_of_order_are_emitted_in_order():
    emitted = []
    crew = Crew(lambda number: 10 * number, emitted.append, 2)
    for number in (3, 1, 0, 4, 2):
        crew.process(number, number)
    crew.drain()
    crew.stop()
    assert emitted == [0, 10, 20, 30, 40]


def test_a_thread_that_cannot_be_started_is_an_error_and_leaves_none_behind(monkeypatch):
    before, start = threading.active_count(), threading.Thread.start

    def start_one(thread):
        if threading.active_count() > before:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    with pytest.raises(ConvfilterError, match="the system refuses to start another thread"):
        list(in_order(lambda number: number, range(1000), 3))
    assert threading.active_count() <= before
    crew = Crew(lambda number: time.sleep(0.01), lambda result: None, 3)
    with pytest.raises(ConvfilterError, match="the system refuses to start another thread"):
        for number in range(6):
            crew.put(number)
    crew.stop()
    assert threading.active_count() <= before
