"""Every behaviour of tests/peers/hostile.py against HttpUser, FastHttpUser and a C scenario.

All peers and all users live in one run of each front end: each user tries its peer three times and then
stops. Whatever a peer does, the run goes on until it is told to end, and every attempt is counted exactly
once: as a success, as a failure with a reason, or among those that were cut off in flight at the end."""

import csv
import json
import re
import signal
import time

import pytest

from conftest import Program, peers

TRIES = 3
RUN_SECONDS_MAX = 45  # it ends as soon as everything is counted
LARGE_UPLOADS = ("NeverReads", "AnswersEarly")  # a small request fits into the kernel's buffers
FRONTS = ("Http", "Fast", "C")

CLOSED = "Remote end closed connection|connection closed before a response"
RESET = "Connection reset by peer|Broken pipe"
CUT = "connection closed in the middle of the response"
TIMEOUT = "timed out"
GOOD, LATE = None, "late"  # LATE: still in flight when the run ends

# What has to become of the attempts: GOOD, LATE or a pattern for the reason.
OUTCOMES = {
    "SlowHeaders": GOOD, "ByteByByteChunks": GOOD, "DrippingBody": LATE, "NeverAnswers": TIMEOUT, "NeverReads": TIMEOUT,
    "NeverAccepts": TIMEOUT,
    "ResetOnAccept": RESET, "CloseOnAccept": CLOSED, "CloseAfterRequest": CLOSED, "ResetAfterRequest": RESET,
    "ResetMidHeaders": RESET, "ResetMidBody": RESET, "AnswersEarly": f"413|{RESET}",
    "TruncatedLength": CUT, "TruncatedChunks": CUT, "ExtraBytes": GOOD, "LengthNotNumber": "invalid Content-Length",
    "LengthNegative": "invalid Content-Length", "LengthHuge": "invalid Content-Length", "LengthTwice": GOOD,
    "LengthConflict": "invalid Content-Length", "LengthAndChunked": GOOD, "ChunkSizeNotHex": "malformed chunked",
    "ChunkSizeNegative": "malformed chunked", "ChunkSizeHuge": "malformed chunked", "ChunkSizeEmpty": "malformed chunked",
    "ChunkTooLong": "malformed chunked", "EndlessChunkExtension": "malformed chunked",
    "OversizedHeader": "headers are too large", "EndlessHeaders": "headers are too large",
    "EndlessStatusLine": "headers are too large", "HeaderWithoutColon": "malformed header",
    "HeaderWithNul": "malformed header", "HeaderSpaceBeforeColon": "malformed header", "HeaderFolded": GOOD,
    "BareLineFeeds": GOOD, "Garbage": "malformed status line", "Ssh": "malformed status line", "Http09": CUT,
    "StatusNotNumber": "malformed status line", "StatusTwoDigits": "malformed status line",
    "VersionUnknown": "malformed status line", "ContinueFlood": "headers are too large", "SecondResponse": GOOD,
    "EndlessBody": GOOD,  # its end is the end of the connection, so it is complete when the peer gives up
    "EndlessChunks": CUT, "GzipBomb": GOOD, "GzipCorrupt": "body is corrupt", "GzipTruncated": "body is corrupt",
    "GzipChecksum": "body is corrupt", "NotGzip": "body is corrupt", "CodingUnknown": GOOD,
    "RedirectLoop": "Exceeded 30 redirects|Redirection limit reached|[Tt]oo many redirects", "RedirectNoHost": "no valid host",
    "RedirectOtherScheme": "no scheme that is supported", "RedirectBadPort": "invalid port", "RedirectGarbage": "no valid host",
    "RedirectRefused": "Connection refused", "RedirectEmpty": GOOD,
    "TlsClosesInHandshake": "closed during TLS handshake", "TlsNeverShakesHands": TIMEOUT,
    "TlsGarbage": "wrong version number",
}
# Where the front ends differ: FastHttpUser checks no certificates; 101 is no success to it.
OUTCOMES_OF = {
    ("Http", "TlsGood"): "certificate", ("Fast", "TlsGood"): GOOD, ("C", "TlsGood"): "certificate",
    ("Http", "TlsSelfSigned"): "certificate", ("Fast", "TlsSelfSigned"): GOOD, ("C", "TlsSelfSigned"): "certificate",
    ("Http", "TlsExpired"): "certificate", ("Fast", "TlsExpired"): GOOD, ("C", "TlsExpired"): "certificate",
    ("Http", "TlsWrongName"): "certificate", ("Fast", "TlsWrongName"): GOOD, ("C", "TlsWrongName"): "certificate",
    ("Http", "TlsTruncated"): "certificate", ("Fast", "TlsTruncated"): CUT, ("C", "TlsTruncated"): "certificate",
    ("Http", "SwitchesUnasked"): GOOD, ("Fast", "SwitchesUnasked"): "101", ("C", "SwitchesUnasked"): GOOD,
}
# The second request meets the end of a kept connection. requests reports that; the others try once more.
RACES = ("HalfClosed", "ClosesBetweenRequests", "ClosesOnSecondRequest")



def timeout_s(name):
    """Short for those who never answer; for the others long enough for a busy machine."""
    return 0.5 if OUTCOMES.get(name) == TIMEOUT else 30


LOCUSTFILE = """
import collections, json, os
from locust import FastHttpUser, HttpUser, events
from locust.exception import StopUser

attempts = collections.Counter()

def user_class(front, base, peer, url, seconds):
    key = f"{front} {peer}"
    timeout = {"timeout": seconds} if base is HttpUser else {}

    def attempt(user):
        attempts[key] += 1
        if peer in LARGE_UPLOADS:
            user.client.post("/", data=b"x" * (8 << 20), name=key, **timeout)
        else:
            user.client.get("/", name=key, **timeout)
        if attempts[key] == TRIES:
            raise StopUser

    return type(front + peer, (base,), {"tasks": [attempt], "fixed_count": 1, "host": url,
                                        "connection_timeout": seconds, "network_timeout": seconds})

for peer, (url, seconds) in TARGETS.items():
    for front, base in (("Http", HttpUser), ("Fast", FastHttpUser)):
        cls = user_class(front, base, peer, url, seconds)
        globals()[cls.__name__] = cls

@events.quit.add_listener
def tell(**kwargs):
    with open("attempts.json", "w") as file:
        json.dump(attempts, file)
"""

SCENARIO_CLASS = """
static void try_%(peer)s(gr_user *u) {
    static int attempts;
    gr_send(u, "/", &(gr_opts){.name = "C %(peer)s"%(more)s});
    if (++attempts == TRIES) gr_stop_user(u);
}
"""


def scenario(targets):
    parts = ["#include <gregaria.h>", f"#define TRIES {TRIES}", "static char large[8 << 20];"]
    for peer in targets:
        upload = ', .method = "POST", .body = large, .body_bytes = sizeof large'
        parts.append(SCENARIO_CLASS % {"peer": peer, "more": upload if peer in LARGE_UPLOADS else ""})
    parts.append("GR_SCENARIO {\n    gr_user_class *c;")
    for peer, (url, seconds) in targets.items():
        parts.append(f'    c = gr_class("C{peer}"); gr_host(c, "{url}"); gr_fixed_count(c, 1);\n'
                     f"    gr_timeouts(c, {seconds}, {seconds}); gr_add_task(c, 1, try_{peer});")
    return "\n".join([*parts, "}", ""])


class Meeting:
    """All peers met by some front ends in one run."""

    def __init__(self, folder, fronts, suffix, text):
        self.fronts = fronts
        self.peers = {name: cls() for name, cls in peers.Peer.behaviours.items()}
        for peer in self.peers.values():
            peer.bytes_max = min(peer.bytes_max, 12 << 20)
            peer.start()
        path = folder / f"all{suffix}"
        path.write_text(text({name: (peer.url, timeout_s(name)) for name, peer in self.peers.items()}))
        self.program = Program(folder)
        self.run = self.program.start("-f", path, "--headless", "-u", len(fronts) * len(self.peers), "-r", 1000,
                                      "--csv", folder / "run", "--json", "--only-summary")
        self.late = list(OUTCOMES.values()).count(LATE)
        self.stats = folder / "run_stats.csv"

    def counted_so_far(self):
        rows = list(csv.DictReader(self.stats.open(newline=""))) if self.stats.exists() else []
        return int(rows[-1]["Request Count"] or 0) if rows and rows[-1]["Name"] == "Aggregated" else 0

    def finish(self):
        deadline = time.monotonic() + RUN_SECONDS_MAX
        expected = len(self.fronts) * TRIES * (len(self.peers) - self.late)
        try:
            while self.counted_so_far() < expected and self.run.process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            self.run.signal(signal.SIGTERM)
            self.result = self.run.wait()
        finally:
            self.run.kill()
            self.counts = {name: peer.stop() for name, peer in self.peers.items()}
        self.entries = {entry["name"]: entry for entry in self.result.entries()}
        self.errors = self.result.errors()

    def counted(self, front, name):
        entry = self.entries.get(f"{front} {name}")
        return (entry["num_requests"], entry["num_failures"]) if entry else (0, 0)

    def reasons(self, front, name):
        return {text.partition(": ")[2]: n for text, n in self.errors.items() if f" {front} {name}: " in text}


@pytest.fixture(scope="module")
def meetings(tmp_path_factory):
    """By front end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peers.GzipBomb, "size", 64 << 20)
        values = f"TRIES, LARGE_UPLOADS = {TRIES}, {LARGE_UPLOADS!r}\n"
        python = Meeting(tmp_path_factory.mktemp("python"), ("Http", "Fast"), ".py",
                         lambda targets: f"TARGETS = {targets!r}\n{values}{LOCUSTFILE}")
        native = Meeting(tmp_path_factory.mktemp("native"), ("C",), ".c", scenario)
    python.finish()
    native.finish()
    return {"Http": python, "Fast": python, "C": native}


@pytest.mark.parametrize("fronts", [("Http", "Fast"), ("C",)])
def test_the_run_goes_on_to_its_end(meetings, fronts):
    meeting = meetings[fronts[0]]
    assert "Got SIGTERM signal" in meeting.result.stderr
    assert meeting.result.status == 1 and "Traceback" not in meeting.result.stderr
    assert f"({len(fronts) * len(meeting.peers)} total users)" in meeting.result.stderr


def test_no_attempt_is_lost_in_python(meetings):
    meeting = meetings["Http"]
    attempts = json.loads((meeting.program.folder / "attempts.json").read_text())
    missing = {key: n - meeting.counted(*key.split())[0] for key, n in attempts.items()}
    missing = {key: n for key, n in missing.items() if n}
    assert missing == {"Http DrippingBody": 1, "Fast DrippingBody": 1}
    assert meeting.result.cut_off() == 2


def test_no_attempt_is_lost_in_c(meetings):
    meeting = meetings["C"]
    counted = {name: meeting.counted("C", name)[0] for name in meeting.peers}
    assert counted == {name: 0 if name == "DrippingBody" else TRIES for name in meeting.peers}
    assert meeting.result.cut_off() == 1


@pytest.mark.parametrize("name", list(peers.Peer.behaviours))
@pytest.mark.parametrize("front", FRONTS)
def test_outcome(meetings, front, name):
    meeting = meetings[front]
    requests, failures = meeting.counted(front, name)
    reasons = meeting.reasons(front, name)
    assert sum(reasons.values()) == failures
    if name in RACES:
        assert requests == TRIES and failures <= (TRIES - 1 if front == "Http" else 0)
        assert all(re.search(f"{CLOSED}|{RESET}", reason) for reason in reasons)
        return
    wanted = OUTCOMES_OF[front, name] if (front, name) in OUTCOMES_OF else OUTCOMES[name]
    if wanted == LATE:
        assert (requests, failures) == (0, 0)
    elif wanted is GOOD:
        assert (requests, failures) == (TRIES, 0), reasons
    else:
        assert (requests, failures) == (TRIES, TRIES)
        assert all(re.search(wanted, reason) for reason in reasons), reasons


# Those that see no requests, or more than were asked for.
NOT_READ = ("NeverReads", "NeverAccepts", "ResetOnAccept", "CloseOnAccept")


@pytest.mark.parametrize("name", [name for name in peers.Peer.behaviours
                                  if name not in (*NOT_READ, *RACES) and not name.startswith("Tls")])
@pytest.mark.parametrize("fronts", [("Http", "Fast"), ("C",)])
def test_the_peer_has_seen_as_many(meetings, fronts, name):
    meeting = meetings[fronts[0]]
    tries = 1 if OUTCOMES.get(name) == LATE else TRIES
    expected = tries * len(fronts) * (31 if name == "RedirectLoop" else 1)
    assert meeting.counts[name]["requests"] == expected
    assert meeting.counts[name]["connections"] <= expected
    assert len(fronts) == 2 or meeting.counts[name]["connections"] >= 1
