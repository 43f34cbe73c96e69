"""Where files of defaults lie."""

from __future__ import annotations

import os
import sys

#: Looked for in the working folder, the first in the user's own configuration folder too; see ``config.py``.
CONFIG_FILES = ("convfilter.toml", "pyproject.toml")


def own_config() -> str:
    """Return where the user's own file of defaults is looked for; a relative path would be in a folder of others."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):
        below = ("Library", "Application Support") if sys.platform == "darwin" else (".config",)
        folder = os.path.join(os.path.expanduser("~"), *below)
    return os.path.join(folder, "convfilter", CONFIG_FILES[0]) if os.path.isabs(folder) else os.devnull
