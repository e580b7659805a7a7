"""What is loaded: nginx with a configuration of its own, the shop, and a listener for start-up times."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

from .process import Watched

NGINX_CONF = """
worker_processes 1;
worker_rlimit_nofile {files};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    default_type text/plain;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=16384;
        listen 127.0.0.1:{tls_port} ssl backlog=16384;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        location / {{ return 200 "hello world\\n"; }}
        location = /__status {{ stub_status; }}
    }}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


class Nginx:
    """One worker, a response of twelve bytes, no log; plain and TLS; its own count of requests."""

    def __init__(self, folder: Path, files: int):
        folder.mkdir()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "30", "-subj",
                        "/CN=localhost"], cwd=folder, check=True, capture_output=True)
        self.port, self.tls_port = free_port(), free_port()
        conf = folder / "nginx.conf"
        conf.write_text(NGINX_CONF.format(folder=folder, port=self.port, tls_port=self.tls_port,
                                          files=files, connections=files - 100))
        self.url = f"http://127.0.0.1:{self.port}"
        self.tls_url = f"https://127.0.0.1:{self.tls_port}"
        self.process = Watched(["nginx", "-p", str(folder), "-c", str(conf)], log=folder / "out.log")
        self.asked = 0
        self._wait_until_up()

    def _wait_until_up(self) -> None:
        until = time.monotonic() + 5
        while True:
            try:
                self.status = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                self.counts()
                return
            except OSError:
                if time.monotonic() > until or not self.process.alive():
                    raise RuntimeError("nginx does not start: " + self.process.last_words()) from None
                time.sleep(0.05)

    def counts(self) -> tuple[int, int]:
        """Requests served and connections open, without those of this call."""
        self.status.request("GET", "/__status")
        text = self.status.getresponse().read().decode()
        self.asked += 1
        requests = int(re.search(r"\n\s*\d+\s+\d+\s+(\d+)", text)[1])
        active = int(re.search(r"Active connections: (\d+)", text)[1])
        return requests - self.asked, active - 1

    def __enter__(self) -> Nginx:
        return self

    def __exit__(self, *exc_info) -> None:
        self.process.end()


class Shop:
    """The example server, for answers that say how long they really took."""

    def __init__(self, program: Path, folder: Path):
        if not program.exists():
            raise FileNotFoundError(f"{program} is not built")
        out = folder / "shop.out"
        self.process = Watched([str(program)], log=folder / "shop.log", stdout=open(out, "wb"))
        until = time.monotonic() + 5
        while not (found := re.search(r"listening on (\S+)\n", out.read_text())):
            if time.monotonic() > until or not self.process.alive():
                raise RuntimeError("the shop does not start: " + self.process.last_words())
            time.sleep(0.02)
        self.url = found[1]

    def __enter__(self) -> Shop:
        return self

    def __exit__(self, *exc_info) -> None:
        self.process.end()


class FirstRequest:
    """Notes when the first request arrives, and answers that one and all others."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.2)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.seen = threading.Event()
        self.at = 0.0
        self.closing = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while not self.closing:
            try:
                sock, _ = self.listener.accept()
            except TimeoutError:
                continue
            with sock:
                self._answer(sock)

    def _answer(self, sock: socket.socket) -> None:
        sock.settimeout(5)
        try:
            if not sock.recv(65536):
                return
            if not self.seen.is_set():
                self.at = time.monotonic()
                self.seen.set()
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        except OSError:
            pass

    def __enter__(self) -> FirstRequest:
        return self

    def __exit__(self, *exc_info) -> None:
        self.closing = True
        self.thread.join()
        self.listener.close()
