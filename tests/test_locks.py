"""Forks and signal handlers while a lock is held, by another thread or by the main thread itself."""

import os
import signal
import threading

import pytest
from PIL import ImageFile
from processes import run_python

from convfilter.locks import shared_lock, undisturbed
from convfilter.methods import blas
from convfilter.native import loop
from convfilter.picture.pillow import guards

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


@pytest.fixture
def handler():
    """A signal handler of the program that uses the library."""
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    yield
    signal.signal(signal.SIGUSR1, before)


def child_takes(lock):
    """Fork while another thread holds a lock for a moment; whether the child can take it."""
    held, release = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            release.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    threading.Timer(0.2, release.set).start()
    child = os.fork()
    if child == 0:
        os._exit(0 if lock.acquire(timeout=5) else 1)
    thread.join()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("lock", [loop._lock, blas._lock, guards._lenient_lock, shared_lock()])
def test_a_child_never_finds_a_lock_held_by_a_thread_that_it_does_not_have(lock):
    assert child_takes(lock)
    with lock, lock:  # and in the parent it is as it was; the thread that holds it may take it again
        pass


@pytest.mark.usefixtures("handler")
def test_a_task_that_must_not_be_entered_again_runs_where_no_handler_does():
    ran_in = []
    assert undisturbed(lambda: ran_in.append(threading.current_thread()) or 7) == 7
    assert ran_in[0] is not threading.main_thread()
    with pytest.raises(ZeroDivisionError):
        undisturbed(lambda: 1 // 0)


def test_without_a_handler_that_could_ask_for_the_same_no_thread_is_started():
    assert undisturbed(threading.current_thread) is threading.main_thread()


#: The main thread is in the middle of its first compilation, and a handler filters the same picture.
HANDLER = """
import os, signal, threading
import numpy as np
import convfilter
from convfilter.native import loop, object_code

place, spec, threads = os.environ["PLACE"], os.environ["SPEC"], int(os.environ["THREADS"])
picture = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
results = []

def handler(number, frame):
    results.append(convfilter.apply(picture, spec, threads=threads))

signal.signal(signal.SIGUSR1, handler)
module = loop if place == "_load" else object_code
original = getattr(module, place)

def interrupted(*arguments):
    if not interrupted.already:
        interrupted.already = True
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        if threading.current_thread() is threading.main_thread():
            signal.sigpending()  # a place where the handler runs
    return original(*arguments)

interrupted.already = False
setattr(module, place, interrupted)
results.append(convfilter.apply(picture, spec, threads=threads))
assert len(results) == 2 and np.array_equal(*results)
print("done")
"""


@pytest.mark.parametrize(("place", "threads"), [("_load", 1), ("_load", 2), ("compile_loop", 2)])
def test_a_signal_handler_may_filter_while_loops_are_loaded_or_compiled(place, threads, tmp_path):
    environment = {"CONVFILTER_CACHE_DIR": str(tmp_path)} if place == "compile_loop" else {}
    spec = "invert" if environment else "gaussian:9"  # which has few loops to compile
    assert run_python(HANDLER, PLACE=place, SPEC=spec, THREADS=threads, **environment) == "done\n"


#: A handler that comes at any time of a process's first call finds no module half loaded.
ANY_TIME = """
import os, signal
import numpy as np
import convfilter

picture = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
results = []
signal.signal(signal.SIGALRM, lambda number, frame: results.append(convfilter.gaussian_blur(picture, 9, threads=2)))
signal.setitimer(signal.ITIMER_REAL, float(os.environ["SECONDS"]))
own = convfilter.gaussian_blur(picture, 9, threads=2)
signal.setitimer(signal.ITIMER_REAL, 0)
assert all(np.array_equal(own, other) for other in results)
print("done")
"""


@pytest.mark.parametrize("milliseconds", [1, 4, 12, 25, 50, 90])
def test_a_signal_handler_may_filter_at_any_time_of_the_first_call(milliseconds):
    assert run_python(ANY_TIME, SECONDS=milliseconds / 1000) == "done\n"


#: Every lazy import of the first calls runs outside the main thread, where a handler could interrupt the import.
IMPORTS = """
import signal, sys, threading
import numpy as np
import convfilter

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("convfilter.") and threading.current_thread() is threading.main_thread():
            found.append(name)

found = []
signal.signal(signal.SIGALRM, lambda number, frame: None)
sys.meta_path.insert(0, Finder())
picture = np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)
convfilter.gaussian_blur(picture, 3)
convfilter.apply(picture, "median:5", "sobel:magnitude", "maxpool:2", "normalize")
convfilter.apply(picture, "gaussian:3", mask=picture[:, :, 0] > 9)
convfilter.canny(picture, 1.0)
print(found)
"""


def test_no_module_is_imported_where_a_handler_could_interrupt_the_import():
    assert run_python(IMPORTS) == "[]\n"


def test_a_lenient_reader_restores_what_it_found(monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with guards.decoding(lenient=True):
        with guards.decoding(lenient=True):
            pass
        assert ImageFile.LOAD_TRUNCATED_IMAGES
    assert ImageFile.LOAD_TRUNCATED_IMAGES
