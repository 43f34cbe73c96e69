"""Dependency files for make: one rule for each output, with the files that it depends on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from itertools import chain

from convfilter.batch.search import Job
from convfilter.errors import UsageError, shown
from convfilter.filters.spec import FilterSpec
from convfilter.filters.stack import paths_of
from convfilter.picture.place import atomic
from convfilter.pipeline.sidecars import names

#: Characters that a backslash escapes in GNU Make 4.3, found by experiment.
IN_TARGETS = " \t#:;[]*?%"
IN_PREREQUISITES = " \t#:;[]*?|"
#: Characters that make interprets before backslashes, or as an assignment; a rule names variables in their place.
_VARIABLES = {"convfilter_equals": "=", "convfilter_semicolon": ";", "convfilter_tab": "$()\t$()"}
_REFERENCES = {content.replace("$()", ""): f"$({variable})" for variable, content in _VARIABLES.items()}


def files_of(specs: Iterable[str | FilterSpec]) -> list[str]:
    """Return the paths, as typed and in order, of the files with weights that filters read."""
    return [path for path in paths_of(specs) if os.path.isfile(path)]


def write(
    path: str, jobs: Sequence[Job], others: Sequence[str], *, sidecars: bool = True, follow: bool = False
) -> None:
    """Write a rule for each job.

    Parameters
    ----------
    path : str
        File for a makefile to include.
    jobs : sequence of Job
    others : sequence of str
        Files that every output depends on: kernels, weights, mask, configuration.
    sidecars : bool
        Whether an output depends on the files beside its input, such as a world file.
    follow : bool
        Whether ``path`` may be a link out of its folder.

    Raises
    ------
    UsageError
        A name contains a line end.
    WriteError
        The file cannot be written.
    """
    inputs = {job: (job.source, *(names(job.source) if sidecars else ()), *others) for job in jobs}
    rules = [
        f"{escaped(job.destination, IN_TARGETS)}: {' '.join(map(escaped, files))}\n" for job, files in inputs.items()
    ]
    # Each prerequisite gets an empty rule: otherwise make stops when the file is removed or renamed.
    rules += [f"\n{escaped(name, IN_TARGETS)}:\n" for name in dict.fromkeys(chain(*inputs.values()))]
    with atomic.replacing(path, follow=follow) as file:
        file.write(os.fsencode(with_variables("".join(rules))))


def with_variables(rules: str) -> str:
    """Return rules after the definitions of the variables in names from :func:`escaped`."""
    needed = [f"{variable} := {content}\n" for variable, content in _VARIABLES.items() if f"$({variable})" in rules]
    return "".join(needed) + rules


def escaped(name: str, special: str = IN_PREREQUISITES) -> str:
    """Escape a name for make: one word without special meaning."""
    if "\n" in name:
        raise UsageError(
            f"{shown(name)}: make cannot handle names with line ends", remedy="rename the file, or leave out {depfile}"
        )
    # Backslashes escape only before a special character, where they must be doubled.
    name = re.sub(rf"(\\*)([{re.escape(special)}])", r"\1\1\\\2", name.replace("$", "$$"))
    return "".join(_REFERENCES.get(char, char) for char in name)
