"""Signals that end the program leave no partial output, however often they arrive."""

import signal

from processes import start_python

#: Without nameless temporary files, as on NFS and macOS, an output in the making has a name.
TWICE = """
import os, signal
from convfilter.cli import signals
from convfilter.picture.place import atomic

del os.O_TMPFILE
signals.install()
with atomic.replacing(os.environ["TARGET"]) as file:
    file.write(b"half")
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print(len(os.listdir(os.path.dirname(os.environ["TARGET"]))), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        print("still here", flush=True)
"""


def test_a_second_signal_ends_at_once_and_leaves_no_litter(tmp_path):
    process = start_python(TWICE, TARGET=tmp_path / "out.png")
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (128 + signal.SIGTERM, "1\n", "")
    assert list(tmp_path.iterdir()) == []
