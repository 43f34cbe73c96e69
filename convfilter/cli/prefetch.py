"""Begin to decode the JPEG of a command line before click is imported."""

from __future__ import annotations

import os
from collections.abc import Sequence

_SUFFIXES = (".jpg", ".jpeg")
#: Commands that filter files.
_COMMANDS = frozenset(("blur", "edges", "sharpen", "convolve", "pool", "rank", "morph", "apply"))
_OPTIONS = ("--threads", "--config")


def start(words: Sequence[str]) -> None:
    """Begin to decode the input, if the words end with a JPEG and an output.

    The interpreter imports NumPy and the other modules in one thread. If the decoder starts between them rather than
    after them, a photo of 12 megapixels is decoded when they are imported. The words are not parsed: where they mean
    something else, the samples are not used.
    """
    if len(words) < 3 or words[0] not in _COMMANDS or not words[-2].lower().endswith(_SUFFIXES):
        return
    is_limited = any(word.startswith(_OPTIONS) for word in words) or _is_limited_by_file()
    if not is_limited and os.path.isfile(words[-2]) and not os.path.isdir(words[-1]):
        from convfilter.machine.cores import cores_lately

        if cores_lately() > 1:
            from convfilter.picture.jpeg import prefetch

            prefetch.start(words[-2])


def _is_limited_by_file() -> bool:
    """Whether a configuration may limit the number of threads."""
    from convfilter.cli.config_files import CONFIG_FILES, own_config

    for name in (*CONFIG_FILES, own_config()):
        try:
            with open(name, "rb") as file:
                if b"threads" in file.read():
                    return True
        except OSError:
            continue
    return False
