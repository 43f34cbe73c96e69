"""Run Python programs in separate processes, with the package under test on their path."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: The command line of the program, without its arguments.
PROGRAM = (sys.executable, "-m", "convfilter")


def start_python(program, **environment):
    """Start ``program`` (Python source); a value of None takes a variable out of its environment."""
    values = {**with_the_package(), **environment}
    return subprocess.Popen(
        [sys.executable, "-B", "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: str(value) for name, value in values.items() if value is not None},
    )


def with_the_package():
    """Return this environment with the package under test on Python's path."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def run_python(program, patience=120, **environment):
    """Run ``program`` and return what it printed; fails with its stderr if it does."""
    process = start_python(program, **environment)
    output, errors = process.communicate(timeout=patience)
    assert process.returncode == 0, errors
    return output


def run_bytes(*arguments, **settings):
    """Run the program as a shell would; returns the process with its output as bytes."""
    settings = {"env": with_the_package(), "timeout": 120, **settings}
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, check=False, **settings)


def untimed(text):
    """Leave out the seconds at the end of a summary."""
    return re.sub(r" in [0-9.]+ s(?=\r?$)", "", text, flags=re.MULTILINE)


def program(*arguments, **settings):
    """Run the program as a shell would; returns the process with its text, without the note on compiling."""
    done = run_bytes(*arguments, text=True, **settings)
    done.stderr = untimed("".join(line for line in done.stderr.splitlines(keepends=True) if "compiling" not in line))
    assert "internal error" not in done.stderr
    return done
