"""Server-Sent Events: what is looked at again and again, told when it has changed.

A stream takes a thread of the server for as long as it lasts, so there are places for only so many
(`Settings.streams`); who finds none is told to come back, and polls. Between its looks a stream holds no connection to
the database and no transaction. It says something now and then, so that a peer that is gone is noticed, and ends by
itself after a while: a client that still listens connects again."""

import threading
import time
import weakref
from collections.abc import Callable, Hashable, Iterator
from typing import cast

import structlog
from flask import Flask, Response

from dispatch.errors import NotFound, Unavailable

EXTENSION = "dispatch.streams"
MEDIA_TYPE = "text/event-stream"
LOOK_EVERY_S = 1.0
HEARTBEAT_S = 10.0
LONGEST_S = 300.0
RECONNECT_MS = 3_000
COME_BACK_S = 30
"""When to try again where all places are taken: streams of others end by then, or are found dead."""

Version = Hashable
Look = Callable[[Version | None], tuple[Version, str | None]]
"""Given the version that was seen last, says the version that stands and, if that is another, what it shows: a line of
JSON. Raises `NotFound` where there is nothing to see any more."""

_log = structlog.get_logger("api.streaming")


class Streams:
    """The places of one application for streams."""

    def __init__(self, most: int) -> None:
        self._places = threading.BoundedSemaphore(most)
        self._ending = threading.Event()

    def end(self) -> None:
        """All streams end within a moment, and none begins: the process is about to stop."""
        self._ending.set()

    def follow(self, look: Look) -> Response:
        """What `look` sees now, then whenever it has changed, as events `update`. Raises what `look` does, and
        `Unavailable` where every place is taken."""
        seen = look(None)
        if self._ending.is_set() or not self._places.acquire(blocking=False):
            raise Unavailable(
                "no_stream_free",
                "As many follow live as can; ask again now and then.",
                retry_after_s=COME_BACK_S,
            )
        response = Response(self._updates(look, *seen), mimetype=MEDIA_TYPE)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"
        given_back = weakref.finalize(response, self._places.release)
        given_back.atexit = False
        response.call_on_close(given_back)
        return response

    def _updates(self, look: Look, version: Version, shown: str | None) -> Iterator[str]:
        ends_at = time.monotonic() + LONGEST_S
        spoke_at = time.monotonic()
        yield f"retry: {RECONNECT_MS}\n{_update(shown)}"
        while not self._ending.wait(LOOK_EVERY_S) and time.monotonic() < ends_at:
            try:
                version, fresh = look(version)
            except NotFound:
                return
            except Unavailable as away:
                _log.warning("stream_ended", reason=away.code)
                return
            if fresh not in (None, shown):
                shown, spoke_at = fresh, time.monotonic()
                yield _update(shown)
            elif time.monotonic() - spoke_at >= HEARTBEAT_S:
                spoke_at = time.monotonic()
                yield ": nothing new\n\n"


def streams_of(app: Flask) -> Streams:
    """The places of an application."""
    return cast(Streams, app.extensions[EXTENSION])


def _update(shown: str | None) -> str:
    return f"event: update\ndata: {shown}\n\n"
