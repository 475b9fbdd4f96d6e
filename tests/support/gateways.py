"""Servers on the loopback that take messages as a provider does, and that tests read."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks as much SMTP (RFC 5321) as a client needs. refusing: its answer to RCPT, if not 250."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.received: list[bytes] = []
        self.refusing: bytes | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class _Conversation(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                self.server.received.append(self._data())
            refused = self.server.refusing if verb == b"RCPT" else None
            self.wfile.write((refused or b"250 ok") + b"\r\n")
            if verb == b"QUIT":
                return

    def _data(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        return b"".join(lines)


@dataclass(frozen=True, slots=True)
class Posted:
    """path: with the query. fields: of the JSON or the form."""

    path: str
    fields: dict[str, Any]


class HttpGateway(ThreadingHTTPServer):
    """Takes JSON and forms by POST. answers: statuses of the next answers, 200 when they run out. takes_s: how long it
    thinks before it answers; it has the message by then."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.received: list[Posted] = []
        self.answers: list[int] = []
        self.takes_s = 0.0

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Request(BaseHTTPRequestHandler):
    server: HttpGateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        is_json = self.headers["Content-Type"].startswith("application/json")
        fields = json.loads(body) if is_json else {name: value[0] for name, value in parse_qs(body).items()}
        self.server.received.append(Posted(self.path, fields))
        time.sleep(self.server.takes_s)
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what arrives is in `received`."""


@contextmanager
def running(server: socketserver.BaseServer) -> Iterator[None]:
    """Serves in a thread until the end."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
