"""Callers that are there at the same time.

`at_once` opens a connection for every call before it sends anything, then writes all the calls one after another, and
reads the first answer only after the last call has left. Writing 200 calls takes some ten milliseconds, so that nearly
all of them are in flight before the first is answered. Neither threads nor an event loop are needed for that: what has
been answered waits in the connection until it is read.
"""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

ANSWER_WITHIN_S = 120


@dataclass(frozen=True, slots=True)
class Call:
    """One request. body goes as JSON; `key` is sent as Bearer."""

    method: str
    path: str
    body: Any
    key: str
    idempotency_key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        said = {"Authorization": f"Bearer {self.key}"}
        if self.body is not None:
            said["Content-Type"] = "application/json"
        if self.idempotency_key is not None:
            said["Idempotency-Key"] = self.idempotency_key
        return said


@dataclass(frozen=True, slots=True)
class Answer:
    """body: what the JSON says. headers: by name in lower case."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def said(self) -> tuple[int, str | None]:
        """The status, and the code of a refusal."""
        return self.status, self.body.get("code")


def at_once(url: str, calls: Sequence[Call]) -> list[Answer]:
    """The answers to calls that are in flight together, in the order of the calls."""
    address = urlsplit(url)
    assert address.hostname is not None
    with ExitStack() as opened:
        connections = [HTTPConnection(address.hostname, address.port, timeout=ANSWER_WITHIN_S) for _ in calls]
        for connection in connections:
            opened.callback(connection.close)
            connection.connect()
        for connection, call in zip(connections, calls, strict=True):
            body = None if call.body is None else json.dumps(call.body).encode()
            connection.request(call.method, call.path, body, call.headers)
        return [_answer(connection) for connection in connections]


def one(url: str, call: Call) -> Answer:
    """The answer to a call that is alone."""
    return at_once(url, [call])[0]


def _answer(connection: HTTPConnection) -> Answer:
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, json.loads(response.read()), headers)


def only_winner(answers: Sequence[Answer], status: int = 201) -> int:
    """Its number. All others are told that the slot is taken, and what they may have instead."""
    said = Counter(answer.said for answer in answers)
    assert said == {(status, None): 1, (409, "slot_taken"): len(answers) - 1}
    assert all(answer.body["alternatives"] for answer in answers if answer.status == 409)
    return next(number for number, answer in enumerate(answers) if answer.status == status)
