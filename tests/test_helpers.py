"""Threads that help are there again for the next call, hold nothing meanwhile, and end by themselves."""

import os
import threading
import time
import weakref

import pytest

from convfilter.engine import helpers
from convfilter.engine.bands import run_blocks
from convfilter.engine.helpers import Beside


@pytest.fixture(autouse=True)
def no_others():
    helpers._dismiss()
    yield
    helpers._dismiss()


def done_beside(task, threads=1):
    """Do a task in other threads, and wait until all have begun."""
    begun = threading.Semaphore(0)

    def work():
        begun.release()
        task()

    beside = Beside(work, threads)
    beside.start()
    for _ in range(threads):
        assert begun.acquire(timeout=60)
    beside.end()


def test_the_same_threads_help_again():
    helping = []
    for _ in range(5):
        both = threading.Barrier(2, timeout=60)
        done_beside(lambda both=both: (both.wait(), helping.append(threading.current_thread())), 2)
    assert len(helping) == 10
    assert len(set(helping)) == 2
    assert threading.current_thread() not in helping
    assert len(helpers._idle) == 2


def test_who_waits_for_nothing_ends(monkeypatch):
    monkeypatch.setattr(helpers, "_PATIENCE", 0.01)
    helping = []
    done_beside(lambda: helping.append(threading.current_thread()), 1)
    helping[0].join(60)
    assert not helping[0].is_alive()
    assert not helpers._idle
    done_beside(lambda: helping.append(threading.current_thread()), 1)
    assert len(set(helping)) == 2


def test_who_comes_late_does_nothing_and_nobody_waits_for_it(monkeypatch):
    monkeypatch.setattr(helpers._Helper, "give", lambda helper, beside: late.append((helper, beside)))
    late, done = [], []
    beside = Beside(lambda: done.append(1), 2)
    beside.start()
    beside.end()
    assert len(late) == 2
    monkeypatch.undo()
    for helper, task in late:
        helper.give(task)
    deadline = time.monotonic() + 60
    while len(helpers._idle) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert not done


def test_an_end_waits_for_those_who_have_begun():
    done = []
    done_beside(lambda: (time.sleep(0.05), done.append(1)), 3)
    assert len(done) == 3


def test_nothing_of_a_task_is_kept_alive():
    class Picture:
        pass

    def call():
        picture = Picture()
        both = threading.Barrier(2, timeout=60)
        run_blocks(range(2), lambda: lambda _block, held=picture: both.wait(), 2)
        return weakref.ref(picture)

    watched = call()
    assert len(helpers._idle) == 1
    deadline = time.monotonic() + 60
    while watched() is not None:  # the helper has yet to leave its functions
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_starts_helpers_of_its_own():
    def in_two_threads():
        both = threading.Barrier(2, timeout=20)
        run_blocks(range(2), lambda: lambda _block: both.wait(), 2)

    in_two_threads()
    assert len(helpers._idle) == 1
    child = os.fork()  # Python 3.12 and later warn if there are threads, and warnings are errors
    if not child:
        try:
            assert not helpers._idle
            in_two_threads()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    in_two_threads()


def test_many_callers_at_once_have_helpers_enough():
    def call():
        for _ in range(20):
            both = threading.Barrier(2, timeout=60)
            run_blocks(range(2), lambda both=both: lambda _block: both.wait(), 2)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(helpers._idle) <= 4
