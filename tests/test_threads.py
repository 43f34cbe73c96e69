import gc
import os
import signal
import threading
import time
import weakref
from importlib.util import module_from_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convfilter.engine import threads as row_threads
from convfilter.engine.threads import cut, run_blocks
from convfilter.errors import ConvfilterError
from convfilter.machine import cores as machine_cores
from convfilter.machine.cores import available_cores

BLOCKS = list(range(50))
MANY = range(20_000)  # more than are done before an exception is seen
any_threads = pytest.mark.parametrize("threads", [1, 2, 3, 8, 200])


@given(rows=st.integers(1, 300), block_rows=st.integers(1, 100))
def test_blocks_cover_all_rows_once_and_in_order(rows, block_rows):
    blocks = cut(rows, block_rows)
    assert [row for first, last in blocks for row in range(first, last)] == list(range(rows))
    assert all(last - first == block_rows for first, last in blocks[:-1])


def test_at_least_one_core():
    assert 1 <= available_cores() <= os.cpu_count()


def test_cores_are_counted_once_a_second(monkeypatch):
    now, cores = [1000.0], iter([2, 3, 5])
    module = module_from_spec(machine_cores.__spec__)  # a new one, which has counted nothing yet
    machine_cores.__spec__.loader.exec_module(module)
    monkeypatch.setattr(module, "available_cores", lambda: next(cores))
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    assert [module.cores_lately() for _ in range(3)] == [2, 2, 2]
    now[0] += 0.9
    assert module.cores_lately() == 2
    now[0] += 0.2
    assert [module.cores_lately() for _ in range(3)] == [3, 3, 3]


@any_threads
def test_every_block_is_done_once(threads):
    done = []
    run_blocks(BLOCKS, done.append, threads)
    assert sorted(done) == BLOCKS


@any_threads
def test_no_blocks_is_nothing_to_do(threads):
    done = []
    run_blocks([], done.append, threads)
    assert done == []


def test_one_thread_is_the_callers_own_and_keeps_the_order():
    done = []
    run_blocks(BLOCKS, lambda block: done.append((block, threading.current_thread())), 1)
    assert done == [(block, threading.current_thread()) for block in BLOCKS]


def test_the_caller_is_one_of_the_threads():
    together = threading.Barrier(4, timeout=60)
    users = []

    def work(_block):
        users.append(threading.current_thread())
        together.wait()

    run_blocks(BLOCKS[:4], work, 4)
    assert len(set(users)) == 4
    assert threading.current_thread() in users


def test_threads_begin_far_apart_and_help_each_other_at_the_end():
    together = threading.Barrier(2, timeout=60)
    done = {}

    def work(block):
        done.setdefault(threading.current_thread(), []).append(block)
        if block in (0, 4):
            together.wait()
        if block == 0:
            assert others_are_done.wait(60)
        elif block == 1:
            others_are_done.set()

    others_are_done = threading.Event()
    run_blocks(range(8), work, 2)
    assert sorted(done.values()) == [[0], [4, 5, 6, 7, 3, 2, 1]]


def test_there_are_no_more_threads_than_blocks():
    users = []
    run_blocks(BLOCKS[:2], lambda _block: users.append(threading.current_thread()), 8)
    assert len(set(users)) <= 2


#: Threads that other tests have left, such as a cluster's: their end is not checked.
others = set()


@pytest.fixture(autouse=True)
def threads_before():
    row_threads._dismiss()
    others.clear()
    others.update(threading.enumerate())


def nothing_runs():
    """Whether all threads that a test has started have ended or are idle."""
    for thread in set(threading.enumerate()) - others:
        thread.join(10)
    return set(threading.enumerate()) <= others


class Trouble(Exception):
    pass


@any_threads
def test_an_exception_is_raised_and_stops_the_others(threads):
    done = []

    def work(block):
        if block == 3:
            raise Trouble("block 3")
        done.append(block)
        raised.wait(0.001)  # gives the thread of block 3 its turn

    raised = threading.Event()
    with pytest.raises(Trouble, match="block 3"):
        run_blocks(MANY, work, threads)
    assert len(done) < len(MANY) // 10
    assert nothing_runs()


@pytest.mark.parametrize("threads", [2, 4])
def test_an_exception_in_a_thread_of_its_own_reaches_the_caller(threads):
    failed = threading.Event()

    def work(_block):
        if threading.current_thread() is threading.main_thread():
            assert failed.wait(60)
        else:
            failed.set()
            raise Trouble

    with pytest.raises(Trouble):
        run_blocks(BLOCKS, work, threads)
    assert nothing_runs()


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_ctrl_c_during_a_block_of_the_callers_stops_all(threads):
    done = []

    def work(block):
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(signal.SIGINT)
        done.append(block)
        threading.Event().wait(0.001)

    with pytest.raises(KeyboardInterrupt):
        run_blocks(MANY, work, threads)
    assert len(done) < len(MANY) // 10
    assert nothing_runs()


def test_a_thread_that_cannot_be_started_stops_the_others(monkeypatch):
    start, done = threading.Thread.start, []

    def start_one(thread):
        if threading.active_count() > 1:
            raise RuntimeError("can't start new thread")
        start(thread)

    def work(block):
        done.append(block)
        threading.Event().wait(0.001)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    with pytest.raises(ConvfilterError, match="the system refuses to start another thread"):
        run_blocks(MANY, work, 4)
    assert len(done) < len(MANY) // 10
    assert nothing_runs()


def test_ctrl_c_while_the_caller_waits_for_the_others_lets_them_end_their_blocks():
    both_have_one, ended = threading.Barrier(2, timeout=60), []

    def work(block):
        both_have_one.wait()
        if threading.current_thread() is threading.main_thread():
            return
        threading.Event().wait(0.1)  # until the caller has nothing left to do
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(0.1)
        ended.append(block)

    with pytest.raises(KeyboardInterrupt):
        run_blocks(BLOCKS[:2], work, 2)
    assert len(ended) == 1
    assert nothing_runs()


# Idle helpers: reused by the next call; meanwhile they refer to no picture, and end after a while ---------------------


@pytest.fixture
def no_helpers():
    row_threads._dismiss()
    yield
    row_threads._dismiss()


def done_with_helpers(task, threads=1):
    """Run a task in helper threads, and wait until all have begun."""
    begun = threading.Semaphore(0)

    def work():
        begun.release()
        task()

    helped = row_threads._HelpedTask(work, threads)
    helped.start()
    for _ in range(threads):
        assert begun.acquire(timeout=60)
    helped.end()


def test_helper_threads_are_reused(no_helpers):
    helping = []
    for _ in range(5):
        both = threading.Barrier(2, timeout=60)
        done_with_helpers(lambda both=both: (both.wait(), helping.append(threading.current_thread())), 2)
    assert len(helping) == 10
    assert len(set(helping)) == 2
    assert threading.current_thread() not in helping
    assert len(row_threads._idle) == 2


def test_a_helper_without_tasks_ends(no_helpers, monkeypatch):
    monkeypatch.setattr(row_threads, "IDLE_SECONDS", 0.01)
    helping = []
    done_with_helpers(lambda: helping.append(threading.current_thread()), 1)
    helping[0].join(60)
    assert not helping[0].is_alive()
    assert not row_threads._idle
    done_with_helpers(lambda: helping.append(threading.current_thread()), 1)
    assert len(set(helping)) == 2


def test_a_late_helper_does_nothing_and_no_thread_waits_for_it(no_helpers, monkeypatch):
    class Picture:
        pass

    run, wake, late, done = threading.Thread.run, threading.Event(), [], []

    def run_late(thread):
        late.append(thread)
        assert wake.wait(60)
        run(thread)

    def task(picture):
        reference.append(weakref.ref(picture))
        run_blocks(BLOCKS, lambda block: done.append((block, picture and threading.current_thread())), 3)

    reference = []
    monkeypatch.setattr(threading.Thread, "run", run_late)
    monkeypatch.setattr(row_threads, "IDLE_SECONDS", 0.01)
    task(Picture())
    assert [block for block, _ in done] == BLOCKS
    assert {thread for _, thread in done} == {threading.current_thread()}
    gc.collect()
    assert reference[0]() is None  # the late helpers do not hold the picture
    wake.set()
    for thread in late:
        thread.join(60)
        assert not thread.is_alive()
    assert len(late) == 2 and len(done) == len(BLOCKS)


def test_end_waits_for_started_tasks(no_helpers):
    done = []
    done_with_helpers(lambda: (time.sleep(0.05), done.append(1)), 3)
    assert len(done) == 3


def test_nothing_of_a_task_is_kept_alive(no_helpers):
    class Picture:
        pass

    def call():
        picture = Picture()
        both = threading.Barrier(2, timeout=60)
        run_blocks(range(2), lambda _block, held=picture: both.wait(), 2)
        return weakref.ref(picture)

    watched = call()
    assert len(row_threads._idle) == 1
    deadline = time.monotonic() + 60
    while watched() is not None:  # the helper has yet to leave its functions
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_starts_its_own_helpers(no_helpers):
    def in_two_threads():
        both = threading.Barrier(2, timeout=20)
        run_blocks(range(2), lambda _block: both.wait(), 2)

    in_two_threads()
    assert len(row_threads._idle) == 1
    child = os.fork()  # Python 3.12 and later warn if there are threads, and warnings are errors
    if not child:
        try:
            assert not row_threads._idle
            in_two_threads()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    in_two_threads()


def test_concurrent_callers_get_enough_helpers(no_helpers):
    def call():
        for _ in range(20):
            both = threading.Barrier(2, timeout=60)
            run_blocks(range(2), lambda _block, both=both: both.wait(), 2)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(row_threads._idle) <= 4


@pytest.mark.parametrize("threads", [1, 2])
def test_an_exception_does_not_keep_arrays_alive(threads):
    class Picture:
        pass

    def call():
        picture = Picture()

        def work(_block, held=picture):
            raise Trouble

        with pytest.raises(Trouble):
            run_blocks(BLOCKS[:1] * threads, work, threads)
        return weakref.ref(picture)

    gc.collect()
    gc.disable()
    try:
        watched = call()
        assert nothing_runs()
        assert watched() is None
    finally:
        gc.enable()
