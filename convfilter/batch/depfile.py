"""Rules for make: what each output depends on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from convfilter.batch.found import Job
from convfilter.errors import UsageError, shown
from convfilter.filters.spec import FilterSpec
from convfilter.filters.stack import paths_of
from convfilter.picture.place import atomic

#: What a backslash makes an ordinary character, as tried with GNU Make 4.3.
_IN_TARGETS = " \t#:;[]*?%"
_IN_PREREQUISITES = " \t#:;[]*?|"
#: What make looks for before it looks at backslashes, or would take for an assignment.
_VARIABLES = {"convfilter_equals": "=", "convfilter_semicolon": ";", "convfilter_tab": "$()\t$()"}
_REFERENCES = {content.replace("$()", ""): f"$({variable})" for variable, content in _VARIABLES.items()}


def files_of(specs: Iterable[str | FilterSpec]) -> list[str]:
    """Return the files that filters take their weights from, in the order of the filters, as they were typed."""
    return [path for path in paths_of(specs) if os.path.isfile(path)]


def write(path: str, jobs: Sequence[Job], others: Sequence[str], *, follow: bool = False) -> None:
    """Write a rule for each job.

    Parameters
    ----------
    path : str
        To be included by a makefile.
    jobs : sequence of Job
    others : sequence of str
        Files that every output depends on: kernels, weights, configuration.
    follow : bool
        ``path`` may lead out of its folder through a link.

    Raises
    ------
    UsageError
        A name has a line end in it.
    WriteError
    """
    rules = [
        f"{_escaped(job.destination, _IN_TARGETS)}: {' '.join(map(_escaped, (job.source, *others)))}\n" for job in jobs
    ]
    # A prerequisite without a rule of its own stops make when the file has been removed or renamed.
    names = dict.fromkeys((*(job.source for job in jobs), *others))
    rules += [f"\n{_escaped(name, _IN_TARGETS)}:\n" for name in names]
    text = "".join(rules)
    needed = [f"{variable} := {content}\n" for variable, content in _VARIABLES.items() if f"$({variable})" in text]
    with atomic.replacing(path, follow=follow) as file:
        file.write(os.fsencode("".join(needed) + text))


def _escaped(name: str, special: str = _IN_PREREQUISITES) -> str:
    """Write a name so that make reads it as one word, and as nothing but a name."""
    if "\n" in name:
        raise UsageError(
            f"{shown(name)}: make knows no names with line ends", remedy="rename the file, or leave out {depfile}"
        )
    # Backslashes count only before a special character, and there they would escape each other.
    name = re.sub(rf"(\\*)([{re.escape(special)}])", r"\1\1\\\2", name.replace("$", "$$"))
    return "".join(_REFERENCES.get(char, char) for char in name)
