"""Code that runs on a worker of a cluster: one picture at a time."""

from __future__ import annotations

import pickle

from convfilter import __version__
from convfilter.batch.search import Job
from convfilter.batch.workers import Outcome, perform, portable
from convfilter.errors import ConvfilterError
from convfilter.pipeline import Options
from convfilter.record import NamedTuple

#: Libraries whose version affects the bytes of an output: sums and codecs.
_LIBRARIES = ("numpy", "pillow", "imagecodecs", "tifffile", "isal")


class Versions(NamedTuple):
    """Versions that affect the bytes that a worker writes."""

    convfilter: str
    libraries: tuple[tuple[str, str], ...]


class Done(NamedTuple):
    """The outcome of a picture.

    Attributes
    ----------
    outcome : Outcome
    elsewhere : bool
        Whether another worker might succeed.
    worker : str
        Address of the worker.
    notices : tuple of str
        Notices of the engine.
    """

    outcome: Outcome
    elsewhere: bool
    worker: str = ""
    notices: tuple[str, ...] = ()


def versions() -> Versions:
    """Return the versions in this process."""
    from importlib.metadata import version

    return Versions(__version__, tuple((name, version(name)) for name in _LIBRARIES))


def same(value: bytes) -> bytes:
    """Identity task that broadcasts the pickled options; Dask recomputes it if the worker holding them dies."""
    return value


def filter_one(job: Job, options: bytes, wanted: str) -> Done:
    """Filter one picture.

    Parameters
    ----------
    job : Job
        Absolute paths, or addresses.
    options : bytes
        Pickled `Options` that hold nothing specific to the submitting machine.
    wanted : str
        Version of convfilter on the submitting machine.

    Returns
    -------
    Done
    """
    if wanted != __version__:  # a worker that joined after the check
        error = ConvfilterError(f"the worker has convfilter {__version__}, this is {wanted}; install the same on all")
        return Done(Outcome(job, None, error), True, _address())
    from convfilter.native import object_code

    notices: list[str] = []
    object_code.on_notice(notices.append)
    decoded: Options = pickle.loads(options)
    outcome = perform(job, decoded)
    return Done(portable(outcome), _is_workers_fault(outcome.error), _address(), tuple(notices))


def _address() -> str:
    from distributed import get_worker

    try:
        return str(get_worker().address)
    except ValueError:  # not a worker
        return ""


def _is_workers_fault(error: Exception | None) -> bool:
    """Whether an error may be the worker's fault (memory, disk, network), not the picture's."""
    cause = error.__cause__ if isinstance(error, ConvfilterError) else error
    return isinstance(cause, OSError | MemoryError | TimeoutError) and not isinstance(cause, ConvfilterError)
