"""A Dask scheduler with two workers, and an S3 server, as processes of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

HOME = Path(__file__).parents[1]
_PATIENCE_SECONDS = 60


def wait_for(condition):
    """Return the first true value of ``condition``."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < until, "nothing has happened for too long"
        time.sleep(0.02)
    return value


class Cluster:
    """Scheduler and workers, each with a working folder that is not the test's; a context manager."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self._folder, self._file, self._count = folder, folder / "scheduler.json", workers
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Cluster:
        self._scheduler = self._start("scheduler", "--port", "0", f"--scheduler-file={self._file}")
        wait_for(self._file.exists)
        self.workers = [self.add_worker() for _ in range(self._count)]
        self.address = wait_for(self._address)
        return self

    def _address(self) -> str | None:
        text = self._file.read_text()
        return json.loads(text)["address"] if text else None

    def add_worker(self) -> subprocess.Popen[bytes]:
        return self._start("worker", f"--scheduler-file={self._file}", "--nthreads=1", "--no-nanny")

    def kill(self, pid: int) -> None:
        """Kill a worker, and start another."""
        lost = next(worker for worker in self.workers if worker.pid == pid)
        lost.kill()
        lost.wait()
        self.workers[self.workers.index(lost)] = self.add_worker()

    def stop_scheduler(self) -> None:
        self._scheduler.kill()
        self._scheduler.wait()

    def _start(self, role: str, *arguments: str) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-m", f"distributed.cli.dask_{role}", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(HOME)}
        process = subprocess.Popen(
            [*program, "--host=127.0.0.1", "--no-dashboard", "--dashboard-address=127.0.0.1:0"],
            cwd=self._folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._processes.append(process)
        return process

    def __exit__(self, *_unused: object) -> None:
        for process in reversed(self._processes):
            process.kill()
        for process in self._processes:
            process.wait()
