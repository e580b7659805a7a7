#!/usr/bin/env python3
"""Servers that misbehave, each in one way: what a load generator has to survive.

In a test, in the same process (the peer runs on threads of its own):

    with hostile.ResetMidBody() as peer:
        run_client(peer.url)
        assert peer.counts()["requests"] == 1

From a shell, until SIGTERM, SIGINT or the end of its standard input; the counts are printed then:

    hostile.py --list
    hostile.py ResetMidBody --port 0

Every peer listens on loopback, gives up on a connection after `life_s` seconds or `bytes_max`
bytes, and leaves no thread behind. "Endless" means: until one of those limits.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path

HEAD_BYTES_MAX = 1 << 16


class GaveUp(Exception):
    """The peer is stopping, or this connection has used up its limits."""


class Connection:
    """One accepted connection: a socket with limits, and shorthand for what peers do with it."""

    def __init__(self, peer: Peer, sock: socket.socket):
        self.peer = peer
        self.sock = sock
        self.received = b""
        self.sent_bytes = 0
        self.until = time.monotonic() + peer.life_s
        sock.settimeout(0.1)

    def check(self) -> None:
        if self.peer.stopping.is_set() or time.monotonic() > self.until:
            raise GaveUp

    def pause(self, seconds: float) -> None:
        self.peer.stopping.wait(seconds)
        self.check()

    def fill(self) -> bool:
        """Receive some more; False at the end of the stream."""
        while True:
            self.check()
            try:
                data = self.sock.recv(65536)
            except (TimeoutError, ssl.SSLWantReadError):
                continue
            self.received += data
            return bool(data)

    def read_request(self) -> bytes | None:
        """The head of the next request, its body (by Content-Length) swallowed; None at the end."""
        while b"\r\n\r\n" not in self.received:
            if len(self.received) > HEAD_BYTES_MAX or not self.fill():
                return None
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        self.peer.count("requests")
        left = content_length(head)
        while left > len(self.received):
            left -= len(self.received)
            self.received = b""
            if not self.fill():
                return None
        self.received = self.received[left:]
        return head

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self.check()
            if self.sent_bytes > self.peer.bytes_max:
                raise GaveUp
            try:
                n = self.sock.send(view)
            except (TimeoutError, ssl.SSLWantWriteError):
                continue
            self.sent_bytes += n
            view = view[n:]

    def send_slowly(self, data: bytes, interval_s: float) -> None:
        for i in range(len(data)):
            self.send(data[i:i + 1])
            self.pause(interval_s)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_for_end(self) -> None:
        """Swallow whatever still comes until the client has had enough."""
        while self.fill():
            self.received = b""


def content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return 0


def response(body: bytes = b"ok", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: text/plain", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body


def head_only(*headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin-1")


class Peer:
    """A server on a free port of loopback. Subclasses say what happens to a connection."""

    scheme = "http"
    life_s = 30.0
    bytes_max = 256 << 20
    backlog = 1024
    behaviours: dict[str, type[Peer]] = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if not cls.__name__.startswith("_"):
            Peer.behaviours[cls.__name__] = cls

    def __init__(self, port: int = 0):
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.counters = {"connections": 0, "requests": 0}
        self.threads: list[threading.Thread] = []
        self.listener = socket.create_server(("127.0.0.1", port), backlog=self.backlog)
        self.listener.settimeout(0.1)
        self.port = self.listener.getsockname()[1]
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"

    def handle(self, conn: Connection) -> None:
        """What happens to one connection; it is closed afterwards."""
        while conn.read_request() is not None:
            self.answer(conn)

    def answer(self, conn: Connection) -> None:
        """What happens to one request."""
        conn.send(response())

    def count(self, name: str) -> None:
        with self.lock:
            self.counters[name] = self.counters.get(name, 0) + 1

    def counts(self) -> dict[str, int]:
        """What this peer has seen so far."""
        with self.lock:
            return dict(self.counters)

    def wrap(self, sock: socket.socket) -> socket.socket:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock = self.wrap(sock)
            self.handle(Connection(self, sock))
        except (GaveUp, OSError):
            pass
        finally:
            sock.close()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                sock, _ = self.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.count("connections")
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self.threads = [t for t in self.threads if t.is_alive()] + [thread]
            thread.start()

    def start(self) -> Peer:
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()
        return self

    def stop(self) -> dict[str, int]:
        """Close everything and return the final counts."""
        self.stopping.set()
        self.acceptor.join()
        self.listener.close()
        for thread in self.threads:
            thread.join(5)
        return self.counts()

    def __enter__(self) -> Peer:
        return self.start()

    def __exit__(self, *exc_info) -> None:
        self.stop()


# --- speed


class SlowHeaders(Peer):
    """The response's head byte by byte with pauses, then the body at once."""

    interval_s = 0.02

    def answer(self, conn):
        conn.send_slowly(head_only("Content-Length: 2"), self.interval_s)
        conn.send(b"ok")


class ByteByByteChunks(Peer):
    """A correct chunked response, one byte a segment and one byte a chunk."""

    def answer(self, conn):
        body = b"".join(b"1\r\n%c\r\n" % byte for byte in b"hello, world") + b"0\r\nX-End: 1\r\n\r\n"
        conn.send_slowly(head_only("Transfer-Encoding: chunked") + body, 0)


class DrippingBody(Peer):
    """A body that comes at one byte in half a second: alive for every read, late as a whole."""

    def answer(self, conn):
        conn.send(head_only("Content-Length: 1000"))
        conn.send_slowly(b"x" * 1000, 0.5)


class NeverAnswers(Peer):
    """Reads the request and says nothing."""

    def answer(self, conn):
        conn.wait_for_end()


class NeverReads(Peer):
    """Accepts and never reads: a large request body gets stuck half-way."""

    def wrap(self, sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return sock

    def handle(self, conn):
        while True:
            conn.pause(0.1)


class NeverAccepts(Peer):
    """A full accept queue: further connections hang before they are established.

    What is counted as connections are the peer's own ones that fill the queue."""

    backlog = 1

    def start(self):
        self.fillers = []
        self.acceptor = threading.Thread(target=self.stopping.wait, daemon=True)
        self.acceptor.start()
        for _ in range(16):
            filler = socket.socket()
            filler.settimeout(0.3)
            self.fillers.append(filler)
            try:
                filler.connect(("127.0.0.1", self.port))
            except TimeoutError:
                return self
            self.count("connections")
        raise RuntimeError("the accept queue does not fill up")

    def stop(self):
        for filler in self.fillers:
            filler.close()
        return super().stop()


# --- connections that end


class ResetOnAccept(Peer):
    """RST as soon as the connection is there."""

    def handle(self, conn):
        conn.reset()


class CloseOnAccept(Peer):
    """FIN as soon as the connection is there."""

    def handle(self, conn):
        conn.sock.shutdown(socket.SHUT_WR)
        conn.wait_for_end()


class CloseAfterRequest(Peer):
    """Reads the request and closes without a byte."""

    def handle(self, conn):
        conn.read_request()


class ResetAfterRequest(Peer):
    """Reads the request and resets."""

    def handle(self, conn):
        if conn.read_request() is not None:
            conn.reset()


class ResetMidHeaders(Peer):
    """RST in the middle of a header line."""

    def handle(self, conn):
        if conn.read_request() is not None:
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Le")
            conn.pause(0.05)
            conn.reset()


class ResetMidBody(Peer):
    """RST after half of the body."""

    def handle(self, conn):
        if conn.read_request() is not None:
            conn.send(head_only("Content-Length: 1000") + b"x" * 500)
            conn.pause(0.05)
            conn.reset()


class HalfClosed(Peer):
    """A good response without "Connection: close", then FIN; later requests are read and ignored."""

    def handle(self, conn):
        if conn.read_request() is not None:
            conn.send(response())
            conn.sock.shutdown(socket.SHUT_WR)
            while conn.read_request() is not None:
                self.count("ignored")


class ClosesBetweenRequests(Peer):
    """Promises keep-alive and closes after each response."""

    def handle(self, conn):
        if conn.read_request() is not None:
            conn.send(response(b"ok", "Connection: keep-alive"))


class ClosesOnSecondRequest(Peer):
    """The race of every keep-alive client: the second request on a connection meets its end."""

    def handle(self, conn):
        if conn.read_request() is not None:
            conn.send(response(b"ok", "Connection: keep-alive"))
            conn.read_request()


class AnswersEarly(Peer):
    """413 and RST after the head of the request, while its body is still being sent."""

    def handle(self, conn):
        while b"\r\n\r\n" not in conn.received:
            if not conn.fill():
                return
        self.count("requests")
        conn.send(response(b"too large", "Connection: close", status="413 Payload Too Large"))
        conn.pause(0.05)
        conn.reset()


# --- lengths and framing


class TruncatedLength(Peer):
    """Content-Length 1000, ten bytes, FIN."""

    def handle(self, conn):
        if conn.read_request() is not None:
            conn.send(head_only("Content-Length: 1000") + b"x" * 10)


class TruncatedChunks(Peer):
    """Chunks without the last one, FIN."""

    def handle(self, conn):
        if conn.read_request() is not None:
            conn.send(head_only("Transfer-Encoding: chunked") + b"5\r\nhello\r\n")


class ExtraBytes(Peer):
    """More body than Content-Length says: the rest must not become the next response."""

    def answer(self, conn):
        conn.send(head_only("Content-Length: 2") + b"ok" + response(b"smuggled"))


class _BadHeaders(Peer):
    """A response with the header lines of `lines` and the bytes of `body`, kept open."""

    lines: tuple[str, ...] = ()
    body = b"hello"

    def answer(self, conn):
        conn.send(head_only(*self.lines) + self.body)


class LengthNotNumber(_BadHeaders):
    """Content-Length: abc"""

    lines = ("Content-Length: abc",)


class LengthNegative(_BadHeaders):
    """Content-Length: -5"""

    lines = ("Content-Length: -5",)


class LengthHuge(_BadHeaders):
    """A Content-Length that does not fit in 64 bits."""

    lines = ("Content-Length: 99999999999999999999999",)


class LengthTwice(_BadHeaders):
    """The same Content-Length twice: allowed, and to be taken once."""

    lines = ("Content-Length: 5", "Content-Length: 5")


class LengthConflict(_BadHeaders):
    """Two different Content-Lengths."""

    lines = ("Content-Length: 5", "Content-Length: 6")


class LengthAndChunked(_BadHeaders):
    """Content-Length and chunked at once: the classic of response splitting."""

    lines = ("Content-Length: 4", "Transfer-Encoding: chunked")
    body = b"5\r\nhello\r\n0\r\n\r\n"


class _BadChunk(_BadHeaders):
    lines = ("Transfer-Encoding: chunked",)


class ChunkSizeNotHex(_BadChunk):
    """A chunk size of letters."""

    body = b"zz\r\nhello\r\n0\r\n\r\n"


class ChunkSizeNegative(_BadChunk):
    """A chunk size with a minus sign."""

    body = b"-5\r\nhello\r\n0\r\n\r\n"


class ChunkSizeHuge(_BadChunk):
    """A chunk size that does not fit in 64 bits."""

    body = b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n"


class ChunkSizeEmpty(_BadChunk):
    """An empty line where a size should be."""

    body = b"\r\nhello\r\n0\r\n\r\n"


class ChunkTooLong(_BadChunk):
    """More data than the chunk's size says."""

    body = b"2\r\nhello\r\n0\r\n\r\n"


class EndlessChunkExtension(Peer):
    """A chunk extension without end."""

    def answer(self, conn):
        conn.send(head_only("Transfer-Encoding: chunked") + b"5;x=")
        while True:
            conn.send(b"y" * 65536)


# --- headers


class OversizedHeader(Peer):
    """One header of ten megabytes in an otherwise good response."""

    def answer(self, conn):
        conn.send(response(b"ok", "X-Large: " + "x" * (10 << 20)))


class EndlessHeaders(Peer):
    """Header lines without end."""

    def answer(self, conn):
        conn.send(b"HTTP/1.1 200 OK\r\n")
        number = 0
        while True:
            lines = "".join(f"X-{i}: y\r\n" for i in range(number, number + 1000))
            conn.send(lines.encode())
            number += 1000


class EndlessStatusLine(Peer):
    """A reason phrase without end."""

    def answer(self, conn):
        conn.send(b"HTTP/1.1 200 ")
        while True:
            conn.send(b"OK " * 20000)


class HeaderWithoutColon(_BadHeaders):
    """A header line that is none."""

    lines = ("Content-Length: 5", "this is not a header")


class HeaderWithNul(_BadHeaders):
    """A NUL in a header's value."""

    lines = ("Content-Length: 5", "X-Odd: a\0b")


class HeaderSpaceBeforeColon(_BadHeaders):
    """A blank between name and colon."""

    lines = ("Content-Length : 5",)


class HeaderFolded(_BadHeaders):
    """A header continued on the next line, as it was once allowed."""

    lines = ("Content-Length: 5", "X-Folded: a", "  b")


class BareLineFeeds(Peer):
    """Lines end in LF alone: sloppy, common, harmless."""

    def answer(self, conn):
        conn.send(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok")


# --- not HTTP


class _Says(Peer):
    """Says `text` instead of a response, then closes."""

    text = b""

    def handle(self, conn):
        if conn.read_request() is not None:
            conn.send(self.text)


class Garbage(_Says):
    """Bytes of every value."""

    text = bytes(range(256)) * 16


class Ssh(_Says):
    """The greeting of another protocol."""

    text = b"SSH-2.0-OpenSSH_9.2\r\n"


class Http09(_Says):
    """A body and nothing else."""

    text = b"<html>hello</html>"


class StatusNotNumber(_Says):
    """A status that is none."""

    text = b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok"


class StatusTwoDigits(_Says):
    """A status that is too short."""

    text = b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"


class VersionUnknown(_Says):
    """A version from the future."""

    text = b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\nok"


class SwitchesUnasked(Peer):
    """101 Switching Protocols that nobody asked for."""

    def answer(self, conn):
        conn.send(head_only("Upgrade: nonsense", "Connection: Upgrade", status="101 Switching Protocols"))
        conn.wait_for_end()


class ContinueFlood(Peer):
    """A hundred thousand interim responses before the final one."""

    def answer(self, conn):
        for _ in range(100):
            conn.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
        conn.send(response())


class SecondResponse(Peer):
    """Each response twice: the second one is nobody's."""

    def answer(self, conn):
        conn.send(response(b"first"))
        conn.pause(0.05)
        conn.send(response(b"second"))


# --- bodies


class EndlessBody(Peer):
    """A body without length and without end."""

    def answer(self, conn):
        conn.send(head_only("Connection: close"))
        while True:
            conn.send(b"x" * 65536)


class EndlessChunks(Peer):
    """Good chunks without end."""

    def answer(self, conn):
        conn.send(head_only("Transfer-Encoding: chunked"))
        while True:
            conn.send(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")


class GzipBomb(Peer):
    """One gibibyte of zeros in one megabyte of gzip, correct to the last byte."""

    size = 1 << 30

    def __init__(self, port: int = 0):
        super().__init__(port)
        block = bytes(1 << 20)
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packer.compress(block)
        packer.flush(zlib.Z_FULL_FLUSH)
        packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)  # stands for itself
        checksum = 0
        for _ in range(self.size >> 20):
            checksum = zlib.crc32(block, checksum)
        header = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
        trailer = b"\x03\x00" + struct.pack("<II", checksum, self.size & 0xFFFFFFFF)
        self.body = header + packed * (self.size >> 20) + trailer

    def answer(self, conn):
        conn.send(response(self.body, "Content-Encoding: gzip"))


def gzip_bytes(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


class GzipCorrupt(Peer):
    """A gzip header and then something else."""

    def answer(self, conn):
        conn.send(response(gzip_bytes(b"hello")[:10] + b"\xff" * 100, "Content-Encoding: gzip"))


class GzipTruncated(Peer):
    """A gzip stream that lacks its end, framed correctly."""

    def answer(self, conn):
        conn.send(response(gzip_bytes(bytes(range(256)))[:-20], "Content-Encoding: gzip"))


class GzipChecksum(Peer):
    """A gzip stream with a wrong checksum."""

    def answer(self, conn):
        body = gzip_bytes(b"hello")
        conn.send(response(body[:-8] + b"\0\0\0\0" + body[-4:], "Content-Encoding: gzip"))


class NotGzip(Peer):
    """Plain text that calls itself gzip."""

    def answer(self, conn):
        conn.send(response(b"hello", "Content-Encoding: gzip"))


class CodingUnknown(Peer):
    """A content coding that nobody has."""

    def answer(self, conn):
        conn.send(response(b"hello", "Content-Encoding: rot13"))


# --- redirects


class _Redirect(Peer):
    location = ""

    def answer(self, conn):
        conn.send(response(b"", f"Location: {self.location}", status="302 Found"))


class RedirectLoop(_Redirect):
    """A page that redirects to itself."""

    location = "/"


class RedirectNoHost(_Redirect):
    """A redirect to a URL without a host."""

    location = "http://"


class RedirectOtherScheme(_Redirect):
    """A redirect to something that is not HTTP."""

    location = "javascript:alert(1)"


class RedirectBadPort(_Redirect):
    """A redirect to a port that cannot be."""

    location = "http://127.0.0.1:99999/"


class RedirectGarbage(_Redirect):
    """A redirect to bytes that are no URL."""

    location = "http://[::/\x80\xff%zz"


class RedirectRefused(_Redirect):
    """A redirect to a port where nobody listens."""

    location = "http://127.0.0.1:1/"


class RedirectEmpty(_Redirect):
    """A redirect to nowhere."""


# --- TLS


class Certificates:
    """A CA of our own and certificates signed by it, in a folder that goes away with this object."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="hostile-tls-")
        self.path = Path(self.folder.name)
        self.ca = self.path / "ca.pem"
        self._new_key("ca")
        self._openssl("req", "-x509", "-new", "-key", "ca.key", "-out", "ca.pem", "-days", "30",
                      "-subj", "/CN=hostile test CA")

    def _openssl(self, *args: str) -> None:
        subprocess.run(["openssl", *args], cwd=self.path, check=True, capture_output=True, timeout=30)

    def _new_key(self, name: str) -> None:
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")

    def issue(self, name: str, alt_names: str, *, self_signed: bool = False,
              expired: bool = False) -> tuple[str, str]:
        """Paths of a certificate and its key."""
        self._new_key(name)
        self._openssl("req", "-new", "-key", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signer = name if self_signed else "ca"
        (self.path / f"{name}.cnf").write_text(
            "[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\nserial = serial\nnew_certs_dir = .\n"
            "default_md = sha256\npolicy = p\nx509_extensions = x\nunique_subject = no\n"
            f"[p]\ncommonName = supplied\n[x]\nsubjectAltName = {alt_names}\n")
        (self.path / "index.txt").touch()
        dates = ("20200101000000Z", "20200201000000Z") if expired else ("20200101000000Z", "20491231000000Z")
        self._openssl("ca", "-batch", "-config", f"{name}.cnf", "-in", f"{name}.csr", "-out", f"{name}.pem",
                      "-keyfile", f"{signer}.key", "-rand_serial", "-notext", "-startdate", dates[0],
                      "-enddate", dates[1], *(("-selfsign",) if self_signed else ("-cert", "ca.pem")))
        return str(self.path / f"{name}.pem"), str(self.path / f"{name}.key")

    def cleanup(self) -> None:
        self.folder.cleanup()


class _Tls(Peer):
    """HTTPS with one kind of certificate. `ca_file` is what a client would have to trust."""

    scheme = "https"
    alt_names = "DNS:localhost,IP:127.0.0.1"
    self_signed = False
    expired = False

    def __init__(self, port: int = 0):
        super().__init__(port)
        self.certificates = Certificates()
        cert, key = self.certificates.issue("server", self.alt_names, self_signed=self.self_signed,
                                            expired=self.expired)
        self.ca_file = cert if self.self_signed else str(self.certificates.ca)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(cert, key)

    def wrap(self, sock):
        sock = super().wrap(sock)
        sock.settimeout(5)
        try:
            wrapped = self.context.wrap_socket(sock, server_side=True)
        except ssl.SSLError:
            self.count("handshakes_failed")
            raise
        self.count("handshakes")
        return wrapped

    def stop(self):
        counts = super().stop()
        self.certificates.cleanup()
        return counts


class TlsGood(_Tls):
    """Nothing wrong, if the client trusts `ca_file`: shows that the other peers fail for a reason."""


class TlsSelfSigned(_Tls):
    """A certificate that nobody else vouches for."""

    self_signed = True


class TlsExpired(_Tls):
    """A certificate from 2020."""

    expired = True


class TlsWrongName(_Tls):
    """A certificate for another host."""

    alt_names = "DNS:elsewhere.example"


class TlsClosesInHandshake(Peer):
    """Takes the client's first TLS message and closes."""

    scheme = "https"

    def handle(self, conn):
        conn.fill()


class TlsNeverShakesHands(Peer):
    """Takes the client's first TLS message and says nothing."""

    scheme = "https"

    def handle(self, conn):
        conn.wait_for_end()


class TlsGarbage(Peer):
    """Plain HTTP where TLS is expected."""

    scheme = "https"

    def handle(self, conn):
        if conn.fill():
            conn.send(response(b"no TLS here", status="400 Bad Request"))


class TlsTruncated(_Tls):
    """A body without length whose end is a FIN without TLS's own goodbye."""

    def handle(self, conn):
        if conn.read_request() is not None:
            conn.send(head_only("Connection: close") + b"half of it")
            conn.sock = socket.socket(fileno=conn.sock.detach())  # no close_notify
            conn.sock.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="A server that misbehaves in one way.")
    parser.add_argument("behaviour", nargs="?", choices=sorted(Peer.behaviours), metavar="BEHAVIOUR")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--list", action="store_true", help="print all behaviours and what they do")
    args = parser.parse_args()
    if args.list or not args.behaviour:
        for name, cls in Peer.behaviours.items():
            print(f"{name:24} {(cls.__doc__ or '').splitlines()[0]}")
        return 0
    for stop in (signal.SIGINT, signal.SIGTERM):  # also when started with SIGINT ignored, as by "&"
        signal.signal(stop, signal.default_int_handler)
    with Peer.behaviours[args.behaviour](args.port) as peer:
        print(f"listening on {peer.url}", flush=True)
        try:
            while sys.stdin.buffer.read(4096):
                pass
        except KeyboardInterrupt:
            pass
    print(json.dumps(peer.counts()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
