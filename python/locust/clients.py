"""The client of HttpUser, and what the engine's session asks of Python for rare things.

Requests travel through ``locust._engine.Session``; functions whose names begin with an underscore are
called from there.
"""

from __future__ import annotations

import http.cookiejar
import os
import socket
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from . import _engine
from ._engine import Headers, Response

if TYPE_CHECKING:
    from .event import EventHook
    from .user.users import User

ResponseContextManager = Response
"""What a request returns; with ``catch_response=True`` it is used in a with block."""

# Codes of the engine's errors (src/base/err.def).
_TIMEOUT, _CONNECT_TIMEOUT, _CLOSED, _CLOSED_EARLY, _TRUNCATED, _DNS = -1002, -1003, -1004, -1005, -1006, -1007
_TLS, _TLS_VERIFY, _URL_SCHEME, _URL_HOST, _URL_PORT = -1008, -1009, -1010, -1011, -1012
_CHUNK, _DECODE, _TOO_MANY_REDIRECTS, _REQUEST_HEADER = -1016, -1019, -1020, -1022


def _default_user_agent() -> str:
    return f"gregaria/{_engine.__version__}"


class CookieJar(MutableMapping):
    """The cookies of a session, with the methods of requests' jar: by name like a dict, by iteration as Cookie objects."""

    def __init__(self, session: _engine.Session) -> None:
        self._session = session

    def _all(self) -> list[tuple[str, str, str, str, bool, int | None]]:
        return self._session._cookie_list()

    def __getitem__(self, name: str) -> str:
        for own, value, *_ in self._all():
            if own == name:
                return value
        raise KeyError(name)

    def __setitem__(self, name: str, value: str | None) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        if not self._session._cookie_remove(name, "", ""):
            raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(own == name for own, *_ in self._all())

    def __iter__(self) -> Iterator[Any]:
        from requests.cookies import create_cookie

        for name, value, domain, path, secure, expires in self._all():
            yield create_cookie(name, value, domain=domain, path=path, secure=secure, expires=expires)

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return f"<CookieJar{[f'{c[0]}={c[1]} for {c[2]}{c[3]}' for c in self._all()]}>"

    def keys(self) -> list[str]:  # type: ignore[override]
        """The names."""
        return [name for name, *_ in self._all()]

    def values(self) -> list[str]:  # type: ignore[override]
        """The values."""
        return [value for _, value, *_ in self._all()]

    def items(self) -> list[tuple[str, str]]:  # type: ignore[override]
        """The (name, value) pairs."""
        return [(name, value) for name, value, *_ in self._all()]

    iterkeys, itervalues, iteritems = keys, values, items

    def get(self, name: str, default: Any = None, domain: str | None = None, path: str | None = None) -> Any:  # type: ignore[override]
        """The value of the cookie `name`, of that domain and path if given."""
        for own, value, d, p, *_ in self._all():
            if own == name and domain in (None, d) and path in (None, p):
                return value
        return default

    def set(self, name: str, value: Any, domain: str = "", path: str = "/", secure: bool = False, **_: Any) -> None:
        """Set a cookie; without a domain it is sent to every host. None removes."""
        if value is None:
            self._session._cookie_remove(name, domain, "" if path == "/" else path)
        else:
            self._session._cookie_set(name, str(value), (domain or "").lstrip("."), path or "/", secure)

    def set_cookie(self, cookie: Any) -> None:
        """Set one ``http.cookiejar.Cookie``."""
        self.set(cookie.name, cookie.value, cookie.domain, cookie.path, bool(cookie.secure))

    def update(self, other: Any = (), **more: str) -> None:  # type: ignore[override]
        """Set the cookies of a jar, a mapping, or pairs."""
        if isinstance(other, (CookieJar, http.cookiejar.CookieJar)):
            for cookie in other:
                self.set_cookie(cookie)
        else:
            for name, value in dict(other).items():
                self.set(name, value)
        for name, value in more.items():
            self.set(name, value)

    def clear(self, domain: str | None = None, path: str | None = None, name: str | None = None) -> None:
        """Remove all cookies, or those of a domain, path and name."""
        if domain is None and name is None:
            self._session._cookie_clear()
            return
        for own, _, d, p, *_rest in self._all():
            if domain in (None, d) and path in (None, p) and name in (None, own):
                self._session._cookie_remove(own, d, p)

    def get_dict(self, domain: str | None = None, path: str | None = None) -> dict[str, str]:
        """Names and values as a plain dict."""
        return {n: v for n, v, d, p, *_ in self._all() if domain in (None, d) and path in (None, p)}

    def list_domains(self) -> list[str]:
        """The domains that have cookies."""
        return list(dict.fromkeys(c[2] for c in self._all()))

    def list_paths(self) -> list[str]:
        """The paths that have cookies."""
        return list(dict.fromkeys(c[3] for c in self._all()))


class _ClientBase(_engine.Session):
    """What both clients have in common."""

    def __init__(self, base_url: str | None, request_event: EventHook | None, user: User | None, **settings: Any) -> None:
        base_url = base_url or ""
        parts = urlsplit(base_url)
        if parts.username and parts.password:
            netloc = parts.netloc.rpartition("@")[2]
            base_url = urlunsplit((parts.scheme, netloc, parts.path, parts.query, parts.fragment))
        super().__init__(base_url, request_event, user, **settings)
        if parts.username and parts.password:
            self.auth = (unquote(parts.username), unquote(parts.password))

    @property
    def cookies(self) -> CookieJar:
        """The session's cookies."""
        return CookieJar(self)

    @cookies.setter
    def cookies(self, value: Any) -> None:
        self._cookie_clear()
        CookieJar(self).update(value)

    @contextmanager
    def rename_request(self, name: str) -> Iterator[None]:
        """Requests in the block are named `name` unless they have a name of their own."""
        before, self.request_name = self.request_name, name
        try:
            yield
        finally:
            self.request_name = before

    # --- called by the engine

    def _cookie_field(self, cookies: Any, jars: bytes) -> bytes:
        """What to send: the jar's cookies, except those set for every host that the call's own replace; then the own."""
        pairs = cookies.items() if hasattr(cookies, "items") else ((c.name, c.value) for c in cookies)
        own = {str(name): str(value) for name, value in pairs}
        replaced = {name.encode("utf-8", "surrogateescape") for name, _, domain, *_ in self._cookie_list() if not domain and name in own}
        kept = [pair for pair in jars.split(b"; ") if pair and pair.partition(b"=")[0] not in replaced]
        return b"; ".join(kept + [f"{name}={value}".encode("utf-8", "surrogateescape") for name, value in own.items()])

    def _merged_params(self, params: Any) -> Any:
        """A call's params over the session's; only mappings are merged."""
        if not (isinstance(params, Mapping) and isinstance(self.params, Mapping)):
            return params
        return {name: value for name, value in {**self.params, **params}.items() if value is not None}

    def _auth_pair(self, auth: Any) -> tuple[Any, Any]:
        """(user, password) of an auth= that is not already a pair."""
        from requests.auth import HTTPBasicAuth

        if type(auth) is HTTPBasicAuth:
            return auth.username, auth.password
        if isinstance(auth, (list, tuple)) and len(auth) == 2:
            return auth[0], auth[1]
        raise TypeError(f"auth must be a (user, password) tuple or an HTTPBasicAuth, not {type(auth).__name__}")

    def _credentials(self, userinfo: str) -> tuple[str, str]:
        user, _, password = userinfo.partition(":")
        return unquote(user), unquote(password)

    def __enter__(self) -> _ClientBase:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class HttpSession(_ClientBase):
    """The client of :class:`~locust.HttpUser`: the methods and keywords of ``requests.Session``, and

    * ``name="..."``: what statistics call the request instead of its path,
    * ``catch_response=True``: judge the response yourself, in a with block,
    * ``context={...}``: passed to listeners of ``events.request``.
    """

    def __init__(
        self,
        base_url: str | None,
        request_event: EventHook | None,
        user: User | None,
        pool_manager: Any = None,
        **_: Any,
    ) -> None:
        super().__init__(base_url, request_event, user, fast=False, max_redirects=30)
        self.trust_env = False

    def _default_headers(self) -> Headers:
        return Headers(
            {
                "User-Agent": _default_user_agent(),
                "Accept-Encoding": "gzip, deflate, br",
                "Accept": "*/*",
                "Connection": "keep-alive",
            }
        )

    def _bad_status(self, response: Response, url: str) -> Exception:
        from requests.exceptions import HTTPError

        code = response.status_code
        side = "Client" if code < 500 else "Server"
        return HTTPError(f"{code} {side} Error: {response.reason} for url: {url}", response=response)

    def _failure(self, response: Response, code: int, text: str) -> Exception:
        from requests import exceptions

        parts = urlsplit(response.url)
        where = f"{parts.scheme.upper()}ConnectionPool(host={parts.hostname!r}, port={parts.port or (443 if parts.scheme == 'https' else 80)})"
        if code == _CONNECT_TIMEOUT:
            return exceptions.ConnectTimeout(f"{where}: Max retries exceeded with url: {_target(parts)} (connect timed out)")
        if code == _TIMEOUT:
            return exceptions.ReadTimeout(f"{where}: Read timed out.")
        if code in (_TLS, _TLS_VERIFY):
            return exceptions.SSLError(f"{where}: Max retries exceeded with url: {_target(parts)} (Caused by SSLError({text or _text(code)!r}))")
        if code == _TOO_MANY_REDIRECTS:
            return exceptions.TooManyRedirects("Exceeded 30 redirects.")
        if code in (_TRUNCATED, _CHUNK):
            return exceptions.ChunkedEncodingError(text or _text(code))
        if code == _DECODE:
            return exceptions.ContentDecodingError(text or _text(code))
        return _socket_error(code, text) or exceptions.ConnectionError(text or _text(code))


def _target(parts: Any) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _text(code: int) -> str:
    return _engine.error_text(code)


def _socket_error(code: int, text: str) -> Exception | None:
    """The standard library's exception for errors that have one."""
    if code > -1000:
        return OSError(-code, os.strerror(-code))
    if code == _DNS:
        return socket.gaierror(socket.EAI_NONAME, text or _text(code))
    if code == _CLOSED_EARLY:
        return RemoteDisconnected("Remote end closed connection without response")
    return None


# --- called by the engine ------------------------------------------------------------------------


def _bad_call(code: int, url: str) -> Exception:
    """The exception for a request that could not even be started."""
    from requests import exceptions

    if code == _URL_SCHEME:
        if "://" in url.partition("?")[0] or (":" in url and not url.lower().startswith("http")):
            return exceptions.InvalidSchema(f"No connection adapters were found for {url!r}")
        return exceptions.MissingSchema(f"Invalid URL {url!r}: No scheme supplied. Perhaps you meant https://{url}?")
    if code in (_URL_HOST, _URL_PORT):
        return exceptions.InvalidURL(f"Invalid URL {url!r}: {_text(code)}")
    if code == _REQUEST_HEADER:
        return exceptions.InvalidHeader(_text(code))
    return OSError(f"{_text(code)} ({url})" if url else _text(code))


def _body_length(data: Any) -> int:
    """How many bytes a body that is read piece by piece will have, as requests finds out; -1: unknown."""
    import io

    from requests.utils import super_len

    if isinstance(data, io.TextIOBase):
        return -1  # it counts characters
    try:
        return super_len(data) or -1
    except (TypeError, AttributeError, io.UnsupportedOperation):
        return -1


def _tls_paths(verify: Any, cert: Any) -> tuple[bool, str, str, str, str]:
    """(verify, CA file, CA directory, certificate, key) for `verify` and `cert` as requests takes them."""
    ca_file = ca_dir = own = key = ""
    if isinstance(verify, (str, os.PathLike)):
        path = os.fspath(verify)
        if not os.path.exists(path):
            raise OSError(f"Could not find a suitable TLS CA certificate bundle, invalid path: {path}")
        ca_file, ca_dir = ("", path) if os.path.isdir(path) else (path, "")
    if isinstance(cert, (tuple, list)):
        own, key = (os.fspath(part) for part in cert)
    elif cert:
        own = os.fspath(cert)
    for path, what in ((own, "certificate file"), (key, "key file")):
        if path and not os.path.exists(path):
            raise OSError(f"Could not find the TLS {what}, invalid path: {path}")
    return bool(verify), ca_file, ca_dir, own, key


_json_error: type | None = None


def _json(response: Response, **kwargs: Any) -> Any:
    """Response.json(): fails with what is a JSONDecodeError to both json and requests."""
    import json

    content = response.content
    try:
        if response._session._fast and content is None:
            return None
        return json.loads(content or b"", **kwargs)
    except UnicodeDecodeError:
        return json.loads(response.text, **kwargs)
    except json.JSONDecodeError as e:
        global _json_error
        if _json_error is None:
            from requests.exceptions import InvalidJSONError, JSONDecodeError

            bases = [JSONDecodeError, json.JSONDecodeError] if not issubclass(JSONDecodeError, json.JSONDecodeError) else [JSONDecodeError]
            _json_error = type("JSONDecodeError", tuple(bases), {"__module__": InvalidJSONError.__module__})
        raise _json_error(e.msg, e.doc, e.pos) from None


def _apparent_encoding(response: Response) -> str:
    try:
        (response.content or b"").decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        from requests.compat import chardet

        return (chardet.detect(response.content)["encoding"] if chardet else None) or "utf-8"


def _guess_text(response: Response) -> str:
    """Text whose charset is not declared, or unknown to Python."""
    return (response.content or b"").decode(_apparent_encoding(response), errors="replace")


def _links(response: Response) -> dict[str, Any]:
    from requests.utils import parse_header_links

    header = response.headers.get("link")
    return {link.get("rel") or link.get("url"): link for link in parse_header_links(header)} if header else {}


def _is_redirect(response: Response) -> bool:
    return "location" in response.headers and response.status_code in (301, 302, 303, 307, 308)


def _is_permanent_redirect(response: Response) -> bool:
    return "location" in response.headers and response.status_code in (301, 308)


def _response_cookies(response: Response) -> Any:
    """The cookies that one response set, as requests' jar."""
    from http.cookies import CookieError, SimpleCookie

    from requests.cookies import RequestsCookieJar

    jar = RequestsCookieJar()
    for line in response.header_values("set-cookie"):
        try:
            for name, morsel in SimpleCookie(line).items():
                jar.set(name, morsel.value, domain=morsel["domain"].lstrip("."), path=morsel["path"] or "/")
        except CookieError:
            continue  # as browsers do with a cookie they cannot read
    return jar


class SentRequest:
    """What was sent: method, url, headers and body."""

    def __init__(self, method: str, url: str, headers: Headers, body: bytes | None) -> None:
        self.method, self.url, self.headers, self.body = method, url, headers, body

    @property
    def path_url(self) -> str:
        """Path and query."""
        return _target(urlsplit(self.url))

    def __repr__(self) -> str:
        return f"<PreparedRequest [{self.method}]>"


def _sent_request(response: Response) -> SentRequest:
    head = response._sent_head
    if head is None:
        headers = response._session._default_headers()
    else:
        lines = head.decode("latin-1").split("\r\n")
        headers = Headers([line.split(": ", 1) for line in lines if line])
    return SentRequest(response._method.upper(), response.url, headers, response._sent_body)


def _pieces(response: Response, size: int | None) -> Iterator[bytes]:
    """The body in pieces of `size` bytes, or as it arrives for None. Only an unread stream is used up."""
    if not response._streaming:
        content = response.content or b""
        yield from (content[at : at + (size or len(content))] for at in range(0, len(content), size or len(content) or 1))
        return
    if size is None:
        while piece := response._read_piece():
            yield piece
        return
    pending = bytearray()
    while piece := response._read_piece():
        pending += piece
        whole = len(pending) - len(pending) % size
        yield from (bytes(pending[at : at + size]) for at in range(0, whole, size))
        del pending[:whole]
    if pending:
        yield bytes(pending)


def _iter_content(response: Response, chunk_size: int | None = 1, decode_unicode: bool = False, **_: Any) -> Iterator[Any]:
    """Response.iter_content."""
    if chunk_size is not None and not isinstance(chunk_size, int):
        raise TypeError(f"chunk_size must be an int, it is instead a {type(chunk_size)}.")
    pieces = _pieces(response, max(1, chunk_size) if chunk_size is not None else None)
    if not decode_unicode or response.encoding is None:
        return pieces
    import codecs

    decoder = codecs.getincrementaldecoder(response.encoding)(errors="replace")

    def text() -> Iterator[str]:
        for piece in pieces:
            if decoded := decoder.decode(piece):
                yield decoded
        if rest := decoder.decode(b"", final=True):
            yield rest

    return text()


def _iter_pieces(response: Response) -> Iterator[bytes]:
    """Iterating over a response."""
    return _pieces(response, 128)


def _iter_lines(
    response: Response, chunk_size: int = 512, decode_unicode: bool = False, delimiter: Any = None
) -> Iterator[Any]:
    """The body line by line."""
    pending = None
    for chunk in _iter_content(response, None, decode_unicode):
        if pending is not None:
            chunk = pending + chunk
        lines = chunk.split(delimiter) if delimiter else chunk.splitlines()
        complete = lines and lines[-1] and chunk and lines[-1][-1] == chunk[-1]
        pending = lines.pop() if complete else None
        yield from lines
    if pending is not None:
        yield pending
