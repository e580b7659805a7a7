"""The peers do what they say: each is met with a plain socket or Python's own clients."""

import http.client
import socket
import ssl
import threading
import time
import zlib

import pytest

import hostile as peers

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def talk(peer, limit=1 << 20, timeout_s=1.0):
    """What comes back for one request, up to `limit`; and how it ended: eof, reset, silence, limit."""
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", peer.port), timeout=timeout_s) as sock:
            sock.sendall(REQUEST)
            while len(received) < limit:
                data = sock.recv(65536)
                if not data:
                    return received, "eof"
                received += data
    except ConnectionError:  # a reset may also be what connect() sees
        return received, "reset"
    except TimeoutError:
        return received, "silence"
    return received, "limit"


@pytest.mark.parametrize("name", [n for n in peers.Peer.behaviours if n != "NeverAccepts"])
def test_counts_and_stops(name):
    before = threading.active_count()
    with peers.Peer.behaviours[name]() as peer:
        talk(peer, limit=65536, timeout_s=0.3)
        began = time.monotonic()
    assert time.monotonic() - began < 6
    assert threading.active_count() == before
    assert peer.counts()["connections"] == 1
    if not name.startswith("Tls") and name not in ("NeverReads", "ResetOnAccept", "CloseOnAccept"):
        assert peer.counts()["requests"] == 1


@pytest.mark.parametrize("name, end, received", [
    ("ResetOnAccept", "reset", b""),
    ("CloseOnAccept", "eof", b""),
    ("CloseAfterRequest", "eof", b""),
    ("ResetAfterRequest", "reset", b""),
    ("ResetMidBody", "reset", b"x"),
    ("ResetMidHeaders", "reset", b"Content-Le"),
    ("HalfClosed", "eof", b"ok"),
    ("TruncatedLength", "eof", b"xxxxxxxxxx"),
    ("TruncatedChunks", "eof", b"hello\r\n"),
    ("NeverAnswers", "silence", b""),
    ("NeverReads", "silence", b""),
    ("Ssh", "eof", b"SSH-2.0-OpenSSH_9.2\r\n"),
    ("EndlessBody", "limit", b"x"),
    ("EndlessHeaders", "limit", b""),
    ("EndlessChunkExtension", "limit", b"y"),
    ("AnswersEarly", "reset", b"too large"),
])
def test_how_it_ends(hostile, name, end, received):
    got, how = talk(hostile(name))
    assert how == end
    if received:
        assert got.endswith(received)
    elif end != "limit":
        assert got == b""


def get(peer, context=None):
    if peer.scheme == "https":
        conn = http.client.HTTPSConnection("127.0.0.1", peer.port, timeout=2, context=context)
    else:
        conn = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=2)
    conn.request("GET", "/")
    return conn.getresponse()


@pytest.mark.parametrize("name, body", [
    ("SlowHeaders", b"ok"), ("ByteByByteChunks", b"hello, world"), ("LengthTwice", b"hello"),
    ("BareLineFeeds", b"ok"), ("SecondResponse", b"first"), ("ClosesBetweenRequests", b"ok"),
    ("ContinueFlood", b"ok"),
])
def test_what_is_odd_but_correct_can_be_read(hostile, name, body):
    assert get(hostile(name)).read() == body


def test_second_request_on_a_kept_connection_fails(hostile):
    peer = hostile("ClosesOnSecondRequest")
    conn = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=2)
    conn.request("GET", "/")
    assert conn.getresponse().read() == b"ok"
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        conn.request("GET", "/")
        conn.getresponse()
    assert peer.counts() == {"connections": 1, "requests": 2}


def test_gzip_bomb_is_correct_gzip(hostile, monkeypatch):
    monkeypatch.setattr(peers.GzipBomb, "size", 8 << 20)
    packed = get(hostile("GzipBomb")).read()
    assert zlib.decompress(packed, 31) == bytes(8 << 20)
    assert len(packed) < 16384


@pytest.mark.parametrize("name", ["GzipCorrupt", "GzipTruncated", "GzipChecksum", "NotGzip"])
def test_bad_gzip_is_bad(hostile, name):
    with pytest.raises(zlib.error):
        zlib.decompress(get(hostile(name)).read(), 31)


def test_full_accept_queue_lets_nobody_in(hostile):
    peer = hostile("NeverAccepts")
    with pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", peer.port), timeout=0.5)


def test_large_upload_gets_stuck(hostile):
    peer = hostile("NeverReads")
    with socket.create_connection(("127.0.0.1", peer.port), timeout=0.5) as sock:
        with pytest.raises(TimeoutError):
            sock.sendall(bytes(64 << 20))


@pytest.mark.parametrize("name, reason", [
    ("TlsGood", None), ("TlsSelfSigned", "self-signed"), ("TlsExpired", "expired"),
    ("TlsWrongName", "not valid for"),
])
def test_certificates(hostile, name, reason):
    peer = hostile(name)
    trusted = str(peer.certificates.ca)
    context = ssl.create_default_context(cafile=trusted)
    if reason is None:
        assert get(peer, context).read() == b"ok"
        return
    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        get(peer, context)
    assert get(peer, ssl._create_unverified_context()).read() == b"ok"
    assert peer.counts()["requests"] == 1
