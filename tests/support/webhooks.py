"""An endpoint on the loopback that takes webhooks, and a process that sends them, which tests kill."""

import base64
import hashlib
import hmac
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, Literal

from dispatch import events  # noqa: F401  deliveries refer to them
from dispatch.database import open_engine
from dispatch.delivering import Deliverer
from dispatch.settings import Settings

Behaviour = int | Literal["close", "hang"]
"""A status to answer, no answer, or none for long."""
HANGS_S = 30.0


@dataclass(frozen=True, slots=True)
class Arrived:
    """A webhook as it came, and what was done about it."""

    path: str
    headers: dict[str, str]
    content: bytes
    behaviour: Behaviour

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def body(self) -> Any:
        return json.loads(self.content)

    def is_signed_by(self, secret: str) -> bool:
        """By the specification: HMAC-SHA256 of id, timestamp and body."""
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        message = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.content
        wanted = base64.b64encode(hmac.digest(key, message, hashlib.sha256)).decode()
        return hmac.compare_digest(self.headers["webhook-signature"], f"v1,{wanted}")


class Receiver(ThreadingHTTPServer):
    """behaves: what to do about the n-th arrival (from 1) of an id. taken: the ids that were answered with 200.
    location: where redirects lead."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Arrival)
        self.arrived: list[Arrived] = []
        self.taken: set[str] = set()
        self.times: Counter[str] = Counter()
        self.behaves: Callable[[str, int], Behaviour] = lambda _id, _times: 200
        self.location = "/elsewhere"

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"


class _Arrival(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        content = self.rfile.read(length)
        if len(content) < length:  # its sender was killed in the middle
            self.close_connection = True
            return
        id_ = self.headers["webhook-id"]
        self.server.times[id_] += 1
        behaviour = self.server.behaves(id_, self.server.times[id_])
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.arrived.append(Arrived(self.path, headers, content, behaviour))
        if behaviour == 200:
            self.server.taken.add(id_)
        if behaviour == "hang":
            time.sleep(HANGS_S)
        if behaviour in ("hang", "close"):
            self.close_connection = True
            return
        assert isinstance(behaviour, int)
        self.send_response(behaviour)
        if 300 <= behaviour < 400:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what arrives is in `arrived`."""


def unreliable(seed: int, most_failures: int = 4) -> Callable[[str, int], Behaviour]:
    """Fails three times in ten, by chance that the seed decides, and at most so often with the same id: an error, a
    closed connection, no answer."""

    def behaves(id_: str, times: int) -> Behaviour:
        chance = Random(f"{seed}/{id_}/{times}").random()
        if times > most_failures or chance >= 0.3:
            return 200
        return 500 if chance < 0.14 else "close" if chance < 0.27 else "hang"

    return behaves


def deliver_for_ever(settings: Settings, at: datetime, speed: float) -> None:
    """The body of a process: sends what is due by a clock that starts at `at` and runs `speed` times as fast."""
    began = time.monotonic()
    deliverer = Deliverer(
        open_engine(settings.database_url),
        settings,
        lambda: at + timedelta(seconds=(time.monotonic() - began) * speed),
    )
    while True:
        deliverer.send_due()
        time.sleep(0.02)
