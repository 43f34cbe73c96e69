"""Hook of mkdocs: pages that lie outside ``docs/`` join the site, and links between pages fit the site's tree.

In the repository README.md links to ``docs/filters.md``, and ``docs/cluster.md`` to ``../SECURITY.md``; in the site all
pages lie in one folder, and README.md is ``index.md``.
"""

from __future__ import annotations

import os
import posixpath
import re
from typing import Any

from mkdocs.structure.files import File, Files

#: Files of the root, and their names in the site.
OUTSIDE = {"README.md": "index.md", "SECURITY.md": "SECURITY.md", "CHANGELOG.md": "CHANGELOG.md"}
_LINK = re.compile(r"\[([^]]*)\]\(([^)#\s]+)(#[^)]*)?\)")
_CODE = re.compile(r"`[^`]*`")


def on_files(files: Files, config: Any) -> Files:
    """Add the files of the root."""
    for source, target in OUTSIDE.items():
        with open(os.path.join(_root(config), source)) as file:
            files.append(File.generated(config, target, content=file.read()))
    return files


def on_page_markdown(text: str, page: Any, config: Any, files: Files) -> str:
    """Rewrite links, and pipes in the code of tables, which Markdown for Python takes as they stand."""
    source = next((name for name, site in OUTSIDE.items() if site == page.file.src_uri), f"docs/{page.file.src_uri}")

    def in_site(link: re.Match[str]) -> str:
        words, target, anchor = link.groups("")
        if "//" in target:
            return link[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        site = OUTSIDE.get(path, path.removeprefix("docs/"))
        if files.get_file_from_path(site):
            return f"[{words}]({site}{anchor})"
        # A file of the repository that is no page: its name is enough. A link to no file at all stays and is an error.
        return words if os.path.exists(os.path.join(_root(config), path)) else link[0]

    lines = (_CODE.sub(lambda code: code[0].replace("\\|", "|"), each) for each in text.split("\n"))
    return _LINK.sub(in_site, "\n".join(lines))


def _root(config: Any) -> str:
    return os.path.dirname(config["config_file_path"])
