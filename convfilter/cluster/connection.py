"""The connection to a Dask scheduler, remote or started on this machine, and the check of its workers' versions."""

from __future__ import annotations

import logging
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from convfilter import __version__
from convfilter.batch.workers import Notice
from convfilter.cluster import worker
from convfilter.errors import ClusterError, UsageError, first_line

LOCAL = "local"
_INSTALL = "pip install 'convfilter[cluster]'"
CONNECT_SECONDS = 10.0
#: Seconds to wait for a scheduler to release a client; a lost scheduler never does.
GOODBYE_SECONDS = 2.0
_LOOPBACK = "127.0.0.1"


@contextmanager
def connected(address: str, processes: int) -> Iterator[Any]:
    """Connect to a scheduler, or start one on this machine, and release it at the end.

    Parameters
    ----------
    address : str
        Address of the scheduler, such as ``tcp://host:8786``; ``local`` starts one with workers.
    processes : int
        Workers of a local cluster.

    Yields
    ------
    distributed.Client

    Raises
    ------
    UsageError
        The extra is not installed.
    ClusterError
        No scheduler answers.
    """
    try:
        import dask
        import distributed
    except ImportError as error:
        raise UsageError("a Dask scheduler needs packages that are not installed", remedy=_INSTALL) from error
    # This module reports errors, in one line each; distributed would log pages of them.
    for name in ("distributed", *logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    quiet = {"distributed.comm.timeouts.connect": f"{CONNECT_SECONDS}s", "distributed.admin.log-length": 0}
    cluster = client = None
    with dask.config.set(quiet):
        try:
            if address == LOCAL:
                cluster = _local(distributed, processes)
            try:
                client = _client(distributed, cluster or address)
            except (
                Exception
            ) as error:  # another service at the address may send bytes on which distributed raises anything
                raise ClusterError(
                    f"no Dask scheduler answers at {address}: {first_line(error)}",
                    remedy="start one with 'dask scheduler', or use {dask=local}",
                ) from error
            yield client
        finally:
            for each, seconds in ((client, GOODBYE_SECONDS), (cluster, CONNECT_SECONDS)):
                if each is not None:
                    with suppress(Exception):
                        each.close(timeout=seconds)


def _client(distributed: Any, target: Any) -> Any:
    """Connect to a scheduler in a thread, since distributed waits forever for a scheduler that does not answer."""
    made: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def connect() -> None:
        try:
            made.put(distributed.Client(target, timeout=CONNECT_SECONDS, set_as_default=False))
        except Exception as error:  # raised again by the thread that waits
            made.put(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        client = made.get(timeout=CONNECT_SECONDS + GOODBYE_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer in {CONNECT_SECONDS:g} seconds") from None
    if isinstance(client, Exception):
        raise client
    return client


def _local(distributed: Any, processes: int) -> Any:
    """Start a scheduler and workers on this machine, which ignore Ctrl-C: the terminal sends it to them, too."""
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # started first: its start would unblock the signal
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGINT}
    )  # threads and processes inherit the blocked signals
    try:
        return distributed.LocalCluster(
            n_workers=processes, threads_per_worker=1, host=_LOOPBACK, memory_limit=0,
            silence_logs=logging.CRITICAL + 1,
            scheduler_kwargs={"dashboard": False, "dashboard_address": f"{_LOOPBACK}:0"},
        )  # fmt: skip
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def require_like_versions(client: Any, address: str) -> Iterator[Notice]:
    """Check that all workers have this version of convfilter, and report other versions of libraries.

    Yields
    ------
    Notice
        The scheduler has no workers yet, or the libraries of workers have other versions than here.

    Raises
    ------
    ClusterError
        A worker has another version of convfilter, or none.
    """
    ours = worker.versions()
    answers = client.run(worker.versions, on_error="return")
    if not answers:
        yield Notice(f"{address}: the scheduler has no workers yet; waiting for them")
    for each, theirs in answers.items():
        if isinstance(theirs, Exception):
            raise ClusterError(
                f"the worker {each} cannot run convfilter: {first_line(theirs)}; install convfilter {__version__} there"
            )
        if theirs.convfilter != ours.convfilter:
            raise ClusterError(
                f"all workers must have convfilter {ours.convfilter}, as here, "
                f"but {each} has {theirs.convfilter}; install the same there"
            )
    differing = {
        f"{name} {there} (here {here})"
        for theirs in answers.values()
        for (name, here), (_, there) in zip(ours.libraries, theirs.libraries, strict=True)
        if here != there
    }
    if differing:
        yield Notice(f"workers have {', '.join(sorted(differing))}: their files may differ in their bytes from here")
