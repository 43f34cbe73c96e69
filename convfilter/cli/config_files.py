"""Paths of configuration files."""

from __future__ import annotations

import os
import sys

#: Names in the working folder; the first one also in the user's configuration folder; see ``config.py``.
CONFIG_FILES = ("convfilter.toml", "pyproject.toml")


def own_config() -> str:
    """Return the absolute path of the user's own configuration; a relative one might lie in another user's folder."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):
        below = ("Library", "Application Support") if sys.platform == "darwin" else (".config",)
        folder = os.path.join(os.path.expanduser("~"), *below)
    return os.path.join(folder, "convfilter", CONFIG_FILES[0]) if os.path.isabs(folder) else os.devnull
