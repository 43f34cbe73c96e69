"""Translate command lines and calls of other programs to convfilter's, with notes on differences of the results.

Each program has a module with a function that translates its words into a `Translation`. A part without an exact
equivalent is an error that names the part; nothing is guessed.
"""

from __future__ import annotations

import re
import shlex
from importlib import import_module

from convfilter.cli.translation.translation import LIBRARIES, Translation
from convfilter.errors import UsageError, shown

#: The module of each program's words.
_PROGRAMS = {"magick": "magick", "convert": "magick", "vips": "vips", "ffmpeg": "ffmpeg", "gmic": "gmic"}
#: The beginning of a call in Python, alone, returned or assigned to a name, an attribute or an element.
_CALL = re.compile(r"(return\s+|[\w.]+(\[[^\]]*\])?(\s*:\s*[\w.]+)?\s*=\s*)?[\w.]+\(")


def translated(line: str) -> Translation:
    """Translate a line of another program.

    Parameters
    ----------
    line : str
        A command line of ImageMagick, vips, ffmpeg or G'MIC, or one call of SciPy, OpenCV, scikit-image, torch.nn or
        Pillow.

    Returns
    -------
    Translation

    Raises
    ------
    UsageError
        The program is unknown, or a part of the line has no exact equivalent.
    """
    if re.search(r"\d{100}", line):  # Python refuses to convert some of these, and others take long to match
        raise UsageError("numbers of less than 100 digits have a translation")
    if _CALL.match(line.strip()):
        from convfilter.cli.translation import calls

        return calls.translated(line.strip())
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"the line cannot be split into words: {error}") from error
    if not words:
        raise UsageError("a command line is needed, such as 'magick in.jpg -blur 0x4 out.jpg'")
    program = words[0].rpartition("/")[2]
    if program not in _PROGRAMS:
        raise UsageError(
            f"lines of {', '.join(_PROGRAMS)} and calls of {LIBRARIES} can be translated, got {shown(line)}"
        )
    result = Translation()
    import_module(f"convfilter.cli.translation.{_PROGRAMS[program]}").translate(words[1:], result)
    if not result.specs:
        raise UsageError(f"no filter was found in {shown(line)}")
    if len(result.names) > 2:
        raise UsageError(f"one input and one output can be translated, got {', '.join(map(shown, result.names))}")
    return result
