"""A server with the part of the S3 protocol that fsspec's file system uses, with its objects in memory."""

import threading
from contextlib import contextmanager
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class _Requests(BaseHTTPRequestHandler):
    """Answers PUT, GET, HEAD and DELETE of buckets and objects; ``server.buckets`` holds {bucket: {key: object}}."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        bucket, key, _ = self._target()
        if not key:
            self.server.buckets.setdefault(bucket, {})
        elif bucket in self.server.buckets:
            self.server.buckets[bucket][key] = (content, self.headers.get("Content-Type", "binary/octet-stream"))
        else:
            return self._refuse("NoSuchBucket")
        return self._answer(200, b"", ETag=_tag(content))

    def do_GET(self):
        bucket, key, query = self._target()
        objects = self.server.buckets.get(bucket)
        if objects is None:
            return self._refuse("NoSuchBucket")
        if not key:
            return self._answer(200, _listing(objects, query).encode(), **{"Content-Type": "application/xml"})
        if key not in objects:
            return self._refuse("NoSuchKey")
        content, kind = objects[key]
        about = {"Content-Type": kind, "ETag": _tag(content), "Last-Modified": formatdate(0, usegmt=True)}
        wanted = self.headers.get("Range", "").removeprefix("bytes=")
        if not wanted:
            return self._answer(200, content, **about)
        first, _, last = wanted.partition("-")
        start, stop = int(first), min(int(last or len(content) - 1) + 1, len(content))
        about["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return self._answer(206, content[start:stop], **about)

    do_HEAD = do_GET

    def do_DELETE(self):
        bucket, key, _ = self._target()
        self.server.buckets.get(bucket, {}).pop(key, None)
        self._answer(204, b"")

    def _target(self):
        """Return bucket, key and query of the request."""
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return bucket, key, query

    def _refuse(self, code):
        self._answer(404, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _answer(self, status, content, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *words):
        pass


def _tag(content):
    return f'"{md5(content).hexdigest()}"'


def _listing(objects, query):
    """Return the answer of ListObjectsV2: objects with a prefix, and the folders in which a delimiter puts others."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    keys = [key for key in sorted(objects) if key.startswith(prefix)]
    if delimiter:
        ends = {key: key.find(delimiter, len(prefix)) for key in keys}
        folders = sorted({key[: end + 1] for key, end in ends.items() if end >= 0})
        keys = [key for key, end in ends.items() if end < 0]
    else:
        folders = []
    entries = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{len(objects[key][0])}</Size><ETag>{_tag(objects[key][0])}</ETag>"
        "<LastModified>1970-01-01T00:00:00.000Z</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
        for key in keys
    )
    entries += "".join(f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in folders)
    return (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated>'
        f"<KeyCount>{len(keys) + len(folders)}</KeyCount>{entries}</ListBucketResult>"
    )


@contextmanager
def served():
    """Yield the address of a running server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Requests)
    server.daemon_threads = True
    server.buckets = {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
