"""FastHttpUser and its client, with the behaviour of Locust's class of that name.

Here it is no faster than HttpUser, whose client runs on the same engine; it differs in what it calls a failure, in
defaults, and in how requests are named.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Iterator

from .._engine import Headers, Response
from ..clients import _CONNECT_TIMEOUT, _TIMEOUT, _TLS, _TLS_VERIFY, _TOO_MANY_REDIRECTS, _ClientBase, _default_user_agent, _socket_error, _text
from ..exception import StopTest
from ..user.users import RestMixin, User

if TYPE_CHECKING:
    from ..env import Environment
    from ..event import EventHook

FastResponse = Response
ResponseContextManager = Response


class LocustBadStatusCode(ConnectionError):
    """A status that FastHttpUser does not count as a success."""

    def __init__(self, url: str, code: int) -> None:
        super().__init__(url, code)
        self.url = url
        self.code = code

    def __repr__(self) -> str:
        return f"LocustBadStatusCode(code={self.code})"

    def __str__(self) -> str:
        return f"{self.url}, code={self.code}"


class RetriesExceeded(ConnectionError):
    """A request that timed out, or was redirected too often."""

    def __init__(self, url: str, retries: int, original: object = None) -> None:
        super().__init__(url, retries)
        self.url, self.retries, self.original = url, retries, original

    def __repr__(self) -> str:
        return f"RetriesExceeded({self.url!r}, {self.retries}, original={self.original})"


class HTTPParseError(ValueError):
    """The answer was not HTTP, or not all of it came."""


class FastHttpSession(_ClientBase):
    """The client of :class:`FastHttpUser`.

    Keywords that it does not know become query parameters, as in Locust.
    """

    def __init__(
        self,
        base_url: str,
        request_event: EventHook | None,
        user: User | None,
        insecure: bool = True,
        client_pool: Any = None,
        ssl_context_factory: Any = None,
        *,
        network_timeout: float = 5.0,
        connection_timeout: float = 5.0,
        max_redirects: int = 3,
        max_retries: int = 3,
        concurrency: int = 1,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(
            base_url,
            request_event,
            user,
            fast=True,
            connect_timeout=connection_timeout,
            read_timeout=network_timeout,
            max_redirects=max_redirects,
            max_resends=concurrency + 1,
            connections=concurrency,
            verify=not insecure,
        )
        if headers:
            self.headers.update(headers)

    def iter_lines(self, url: str, method: str = "GET", **kwargs: Any) -> Iterator[str]:
        """Request `url` and yield the answer's lines as they arrive."""
        response = self.request(method, url, stream=True, **kwargs)
        response.raise_for_status()
        for line in response.iter_lines():
            yield line.decode(response.encoding or "utf-8", errors="replace")

    def _default_headers(self) -> Headers:
        return Headers({"User-Agent": _default_user_agent(), "Accept-Encoding": "gzip, deflate, br"})

    def _bad_status(self, response: Response, url: str) -> Exception:
        return LocustBadStatusCode(response.url, response.status_code)

    def _failure(self, response: Response, code: int, text: str) -> Exception:
        import ssl

        if code in (_TIMEOUT, _CONNECT_TIMEOUT):
            return RetriesExceeded(response.url, 0, original=socket.timeout("timed out"))
        if code == _TOO_MANY_REDIRECTS:
            return RetriesExceeded(response.url, len(response.history), original="Redirection limit reached")
        if code in (_TLS, _TLS_VERIFY):
            return ssl.SSLError(text or _text(code))
        return _socket_error(code, text) or HTTPParseError(text or _text(code))


class FastHttpUser(RestMixin, User):
    """A user with a :class:`FastHttpSession` as ``client``."""

    abstract = True
    network_timeout: float = 60.0
    """Longest silence of a server, in seconds."""
    connection_timeout: float = 60.0
    """Longest time to connect, in seconds."""
    max_redirects: int = 30
    max_retries: int = 0
    insecure: bool = True
    """True: certificates are not verified."""
    default_headers: dict[str, str] | None = None
    concurrency: int = 10
    """How many requests this user can have under way at once; further ones wait."""
    proxy_host: str | None = None
    proxy_port: int | None = None
    client_pool: Any = None
    ssl_context_factory: Any = None

    client: FastHttpSession

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if self.host is None:
            raise StopTest("You must specify the base host. Either in the host attribute in the User class, or on the command line using the --host option.")
        self.client = FastHttpSession(
            self.host,
            self.environment.events.request,
            self,
            insecure=self.insecure,
            network_timeout=self.network_timeout,
            connection_timeout=self.connection_timeout,
            max_redirects=self.max_redirects,
            max_retries=self.max_retries,
            concurrency=self.concurrency,
            headers=self.default_headers,
        )
