"""A small HTTP server in the test's own process: it keeps what it was sent, and answers as the test says.

It runs on gevent's hub, beside the client under test. Without an answer of its own, a path gets back what was
sent, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gevent.server import StreamServer

Reply = bytes | Callable[["Request", Any], bytes | None]


@dataclass
class Request:
    """One request as it arrived."""

    method: str
    target: str
    fields: list[tuple[str, str]]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def get(self, name: str) -> str | None:
        """The field's value; a field that came twice fails the test."""
        values = [value for own, value in self.fields if own.lower() == name.lower()]
        assert len(values) < 2, (name, values)
        return values[0] if values else None


def answer(body: bytes = b"", status: str = "200 OK", *fields: str, length: int | None = None) -> bytes:
    """A response with Content-Length."""
    lines = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def redirect(location: str, status: int = 302, *fields: str) -> bytes:
    """A redirect."""
    return answer(b"", f"{status} Moved", f"Location: {location}", *fields)


class Server:
    """`server.replies["/path"] = answer(b"...")`, or a function of (request, socket) that returns one, or None when it
    has written to the socket itself and closed it."""

    def __init__(self, **tls: Any) -> None:
        self.requests: list[Request] = []
        self.replies: dict[str, Reply] = {}
        self.connections = 0
        self._server = StreamServer(("127.0.0.1", 0), self._serve, **tls)
        self._server.start()
        self.base = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def last(self) -> Request:
        """The newest request."""
        return self.requests[-1]

    def close(self) -> None:
        self._server.stop(timeout=0)

    def _serve(self, socket: Any, _: Any) -> None:
        self.connections += 1
        file = socket.makefile("rb")
        try:
            while request := self._read(file):
                self.requests.append(request)
                reply = self.replies.get(request.path)
                if callable(reply):
                    reply = reply(request, socket)
                    if reply is None:
                        return
                if reply is None:
                    reply = answer(self._echo(request), "200 OK", "Content-Type: application/json")
                if request.method == "HEAD":
                    reply = reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
                socket.sendall(reply)
        except OSError:
            return  # the client has gone
        finally:
            file.close()
            socket.close()

    def _read(self, file: Any) -> Request | None:
        line = file.readline()
        if not line:
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        fields: list[tuple[str, str]] = []
        while (line := file.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            fields.append((name, value.strip()))
        request = Request(method, target, fields, b"")
        if request.get("Transfer-Encoding") == "chunked":
            while size := int(file.readline(), 16):
                request.body += file.read(size)
                file.readline()
            file.readline()
        elif length := request.get("Content-Length"):
            request.body = file.read(int(length))
        return request

    def _echo(self, request: Request) -> bytes:
        return json.dumps(
            {"method": request.method, "target": request.target, "fields": request.fields, "body": request.body.decode("latin-1")}
        ).encode()
