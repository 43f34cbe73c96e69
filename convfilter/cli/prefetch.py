"""Begin to decode the JPEG of a command line before click is imported."""

from __future__ import annotations

import os
from collections.abc import Sequence

_SUFFIXES = (".jpg", ".jpeg")
#: Commands that filter files.
_COMMANDS = frozenset(("blur", "edges", "sharpen", "convolve", "pool", "rank", "morph", "apply"))
_OPTIONS = ("--threads", "--config")


def start(words: Sequence[str]) -> None:
    """Begin to decode the input, if the words name a JPEG and, after it, an output.

    The interpreter imports NumPy and the other modules in one thread. If the decoder starts between them rather than
    after them, a photo of 12 megapixels is decoded when they are imported. The words are not parsed: where they mean
    something else, the samples are not used.
    """
    if not words or words[0] not in _COMMANDS or any(word.startswith(_OPTIONS) for word in words):
        return
    source = _input(words)
    if source is not None and os.path.isfile(source) and not _is_limited_by_file():
        from convfilter.machine.cores import cores_lately

        if cores_lately() > 1:
            from convfilter.picture.jpeg import prefetch

            prefetch.start(source)


def _input(words: Sequence[str]) -> str | None:
    """Return the last JPEG that precedes another file: pictures of options precede the input, or end the words."""
    for source, output in zip(reversed(words[:-1]), reversed(words), strict=False):
        if source.lower().endswith(_SUFFIXES) and not (output[:1] == "-" != output):
            return None if os.path.isdir(output) else source
    return None


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
