"""The HTTP server of ``convfilter try``: one page, for this machine only, at a secret address.

The server listens on 127.0.0.1. Every URL contains a random token of 128 bits, which other programs and pages on this
machine do not know; requests from other pages are refused by their Host, Origin and Sec-Fetch-Site headers.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from convfilter.errors import ConvfilterError, first_line
from convfilter.record import NamedTuple
from convfilter.trial.request import stack_of, stack_request, view_request
from convfilter.trial.scene import Scene

_ADDRESS = "127.0.0.1"
_MOST_BYTES = 1 << 16
#: Seconds between heartbeats on the stream to a page; a broken stream means that the page was closed.
BEAT_SECONDS = 0.5
#: Seconds that the server waits for a page to be loaded again before it ends.
GRACE_SECONDS = 3.0
#: Timeout of idle connections.
_IDLE_SECONDS = 60
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob:; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
_PAGES = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
}


class Answer(NamedTuple):
    """An HTTP response: status, content and its type, and facts about a picture as JSON for a header."""

    status: HTTPStatus
    content: bytes
    kind: str = "application/json"
    facts: str = ""


class Server(ThreadingHTTPServer):
    """Serves a scene to one page, until the page is closed.

    Parameters
    ----------
    scene : Scene
    specs : tuple of str
        The stack that the page shows first.
    port : int
        Port; 0 for any free port.

    Attributes
    ----------
    address : str
        URL of the page, with its token.

    Raises
    ------
    OSError
        The port is taken.
    """

    daemon_threads = True
    timeout = BEAT_SECONDS

    def __init__(self, scene: Scene, specs: tuple[str, ...], port: int = 0) -> None:
        self.scene, self.stack = scene, stack_of(specs)
        self.token = secrets.token_urlsafe(16)
        super().__init__((_ADDRESS, port), Handler)
        self.host = f"{_ADDRESS}:{self.server_address[1]}"
        self.address = f"http://{self.host}/{self.token}/"
        self._pages, self._left = 0, float("inf")
        self._count = threading.Lock()

    def serve(self) -> None:
        """Answer requests until the page has been opened and closed."""
        with self:
            while not (self._pages == 0 and time.monotonic() > self._left + GRACE_SECONDS):
                self.handle_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that the browser has dropped."""

    def watch(self, beat: Callable[[], None]) -> None:
        """Call ``beat`` at intervals until it fails: the page that receives the heartbeats has been closed."""
        with self._count:
            self._pages += 1
        try:
            while True:
                beat()
                time.sleep(BEAT_SECONDS)
        except OSError:
            pass
        finally:
            with self._count:
                self._pages -= 1
                self._left = time.monotonic()


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def version_string(self) -> str:
        """Return the server's name without a version."""
        return "convfilter"

    def do_GET(self) -> None:
        """Serve the page, its resources, and its heartbeat stream."""
        name = self._name()
        if name is None:
            return
        if name == "alive":
            self._send_heartbeats()
        elif name == "facts":
            facts = self.server.scene.facts() | {"stack": self.server.stack}
            self._send(Answer(HTTPStatus.OK, json.dumps(facts).encode()))
        elif name in _PAGES:
            file, kind = _PAGES[name]
            self._send(Answer(HTTPStatus.OK, files("convfilter.trial").joinpath(file).read_bytes(), kind))
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Filter the visible region, or save the whole."""
        name = self._name()
        if name is None:
            return
        task = {"view": self._view, "save": self._save}.get(name)
        length = self.headers.get("Content-Length", "")
        if task is None or self.headers.get("Content-Type") != "application/json":
            self._refuse(HTTPStatus.NOT_FOUND)
        elif not length.isdecimal() or int(length) > _MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._send(_answered(task, self.rfile.read(int(length))))

    def _view(self, content: dict[str, Any]) -> Answer:
        data, facts = self.server.scene.view(stack_request(content), view_request(content.get("view")))
        return Answer(HTTPStatus.OK, data, "image/png", json.dumps(facts))

    def _save(self, content: dict[str, Any]) -> Answer:
        replaces = content.get("replace") is True
        path = self.server.scene.save(stack_request(content), str(content.get("name", "")), replaces=replaces)
        return Answer(HTTPStatus.OK, json.dumps({"saved": path}).encode())

    def _name(self) -> str | None:
        """Return the path after the token; refuse a request without the token or from another page, and return None."""
        _, _, rest = self.path.partition("/")
        token, mark, name = rest.partition("/")
        if not (mark and secrets.compare_digest(token.encode(), self.server.token.encode())):
            self._refuse(HTTPStatus.NOT_FOUND)
            return None
        own = f"http://{self.server.host}"
        is_ours = (
            self.headers.get("Host") == self.server.host
            and self.headers.get("Origin", own) == own
            and self.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin")
        )
        if not is_ours:
            self._refuse(HTTPStatus.FORBIDDEN)
            return None
        return name

    def _refuse(self, status: HTTPStatus) -> None:
        self.close_connection = True
        self._send(Answer(status, json.dumps({"error": status.phrase}).encode()))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.content)))
        self._send_common()
        if answer.facts:
            self.send_header("X-Facts", answer.facts)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.content)

    def _send_common(self) -> None:
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")

    def _send_heartbeats(self) -> None:
        """Send heartbeats until the page no longer receives them."""
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self._send_common()
        self.send_header("Connection", "close")
        self.end_headers()
        self.server.watch(self._beat)

    def _beat(self) -> None:
        self.wfile.write(b":\n\n")


def _answered(task: Callable[[dict[str, Any]], Answer], content: bytes) -> Answer:
    """Run a task; if it fails, return the error's message for the page to show."""
    try:
        request = json.loads(content)
        if not isinstance(request, dict):
            return _problem("the request is not a JSON object")
        return task(request)
    except (ValueError, RecursionError) as error:
        return _problem(str(error) if isinstance(error, ConvfilterError) else f"the request is not JSON: {error}")
    except ConvfilterError as error:
        return _problem(str(error))
    except MemoryError:
        return _problem("not enough memory for this filter")
    except OSError as error:
        return _problem((error.strerror or first_line(error)).lower())


def _problem(text: str) -> Answer:
    return Answer(HTTPStatus.UNPROCESSABLE_ENTITY, json.dumps({"error": text}).encode())
