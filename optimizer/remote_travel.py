"""Travel told by a routing server: OSRM, Valhalla or openrouteservice, spoken to through routingpy.

    remote = Remote("osrm", "http://127.0.0.1:5000", fallback=Geodesic(), on_fallback=print)
    matrix = remote.matrix(places, departs_at)

A matrix is asked for in blocks that the server takes. A block that fails in a way that may pass (too many requests, a
server's error, silence, a broken answer) is asked for again after a pause that grows. If it still fails, the fall-back
answers for the whole matrix, and says so: the answer is a `FallbackMatrix` with the reason, `on_fallback` is called
and the log has a warning. Without a fall-back `RemoteFailed` is raised.

Coordinates are personal data. None is in an error, in a log or in a redirected request; they go to the server named
here and nowhere else.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

try:
    from routingpy import ORS, OSRM, Valhalla
    from routingpy.client_default import Client
except ImportError as error:
    raise ImportError(
        f"travel told by a server needs the package routingpy: {error}", name=error.name
    ) from error

from optimizer.problem import TravelMatrix
from optimizer.travel import (
    CITY_TRAFFIC,
    PARKING_S,
    FallbackMatrix,
    Place,
    SpeedProfile,
    TravelProvider,
    require_parking,
    rounded_matrix,
)

logger = logging.getLogger(__name__)

Service = Literal["osrm", "valhalla", "openrouteservice"]

CAR: dict[Service, str] = {"osrm": "driving", "valhalla": "auto", "openrouteservice": "driving-car"}
"""The servers' names for a car."""

BLOCK = 50
"""Sources and destinations of one request. The least of the servers' limits as they come: osrm-routed takes 100
locations (--max-table-size), openrouteservice and Valhalla 2,500 pairs (maximum_routes, max_matrix_location_pairs)."""

FIRST_PAUSE_S = 1.0
"""Before the second attempt; each pause is twice the one before."""

LONGEST_PAUSE_S = 60.0
"""A server that wants to be asked later than this is given up."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed (RFC 9110, RFC 6585, RFC 8470)."""

_asking: ContextVar[bool] = ContextVar("asking", default=False)


class RemoteFailed(Exception):
    """The server gave no matrix. The message says why, without any place in it."""


class _Failed(Exception):
    """One request failed. `may_pass`: whether it is worth asking again, `wait_s`: not before so many seconds."""

    def __init__(self, reason: str, may_pass: bool, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.may_pass = may_pass
        self.wait_s = wait_s


class _NoAddresses(logging.Filter):
    """Keeps what urllib3 tells about our own requests out of the log: OSRM's addresses hold coordinates."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _asking.get()


_no_addresses = _NoAddresses()


class _OneRequest(Client):  # type: ignore[misc, unused-ignore]
    """routingpy's client without its own retries, which sleep and warn, and without redirects."""

    def _request(
        self,
        url: str,
        get_params: Any = None,
        post_params: Any = None,
        first_request_time: Any = None,
        retry_counter: int = 0,
        dry_run: Any = None,
    ) -> Any:
        address = self.base_url + self._generate_auth_url(url, get_params or {})
        token = _asking.set(True)
        try:
            answer = self._session.request(
                "GET" if post_params is None else "POST",
                address,
                json=post_params,
                headers=self.headers,
                timeout=self.timeout,
                proxies=self.proxies,
                allow_redirects=False,
            )
        except OSError as error:  # every error of requests is one; its text may hold the address
            raise _Failed(f"the server could not be asked ({type(error).__name__})", may_pass=True) from None
        finally:
            _asking.reset(token)
        if answer.status_code != 200:
            may_pass, wait_s = answer.status_code in PASSING, _seconds(answer.headers.get("Retry-After"))
            raise _Failed(f"the server answered {answer.status_code}", may_pass, wait_s)
        try:
            return answer.json()
        except ValueError:
            raise _Failed("the server's answer is no JSON", may_pass=True) from None

    def close(self) -> None:
        self._session.close()


def _seconds(retry_after: str | None) -> float:
    """The header as seconds; 0 for none, or for a date, which only a clock could read."""
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else 0.0


@dataclass(frozen=True, slots=True)
class Remote:
    """The matrices of a routing server.

    service: which protocol. url: of the server, without a slash at its end. vehicle: the server's name for it, by
    default a car. api_key: openrouteservice's. block: sources and destinations of one request. attempts: for each
    block, the first one included. timeout_s: for connecting and for each silence. profile: the server's durations hold
    by day and are divided by the factor of the hour. parking_s: added to each leg between places that differ.
    fallback: answers when the server does not; on_fallback is called with the reason. sleep: waits.
    Raises `ValueError` for settings that cannot work.
    """

    service: Service
    url: str
    vehicle: str | None = None
    api_key: str | None = field(default=None, repr=False)
    block: int = BLOCK
    attempts: int = 4
    timeout_s: float = 30.0
    profile: SpeedProfile = CITY_TRAFFIC
    parking_s: int = PARKING_S
    fallback: TravelProvider | None = None
    on_fallback: Callable[[str], None] | None = field(default=None, repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def __post_init__(self) -> None:
        if self.service not in CAR:
            raise ValueError(f"service must be one of {', '.join(CAR)}, not {self.service!r}")
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise ValueError("url must begin with http:// or https:// and name a server")
        if urlsplit(self.url).username is not None:
            raise ValueError("url must hold no password; openrouteservice's key is api_key")
        if not 1 <= self.block <= 10_000:
            raise ValueError(f"block must lie between 1 and 10000, not {self.block}")
        if not 1 <= self.attempts <= 20:
            raise ValueError(f"attempts must lie between 1 and 20, not {self.attempts}")
        if not 0 < self.timeout_s <= 3600:
            raise ValueError(f"timeout_s must lie between 0 and 3600, not {self.timeout_s}")
        require_parking(self.parking_s)
        logging.getLogger("urllib3.connectionpool").addFilter(_no_addresses)

    @property
    def cache_key(self) -> str:
        """Everything that the answers depend on, beside places and hour (`matrix_cache.CacheableProvider`), as far as
        it can be known here: a server with a new map has the same key."""
        return repr((self.service, self.url, self._vehicle, self.profile, self.parking_s))

    def matrix(self, places: Sequence[Place], departs_at: datetime | None = None) -> TravelMatrix:
        """All pairs, shape (places, places); `problem.UNREACHABLE` where the server finds no way. A `FallbackMatrix` if
        the fall-back answered. Raises `RemoteFailed` if there is none."""
        try:
            seconds, metres = self._figures(places)
        except _Failed as error:
            return self._fall_back(str(error), places, departs_at)
        seconds = seconds / self.profile.at(departs_at) + self.parking_s
        return rounded_matrix(places, seconds, metres)

    @property
    def _vehicle(self) -> str:
        return self.vehicle or CAR[self.service]

    def _new_router(self) -> Any:
        settings: dict[str, Any] = {"base_url": self.url, "timeout": self.timeout_s, "client": _OneRequest}
        if self.service == "osrm":
            return OSRM(**settings)
        if self.service == "valhalla":
            return Valhalla(**settings)
        return ORS(api_key=self.api_key or "", **settings)

    def _fall_back(self, reason: str, places: Sequence[Place], departs_at: datetime | None) -> TravelMatrix:
        if self.fallback is None:
            raise RemoteFailed(f"{self.service}: {reason}")
        stand_in = type(self.fallback).__name__
        logger.warning("No travel from %s (%s); %s answers for it", self.service, reason, stand_in)
        if self.on_fallback is not None:
            self.on_fallback(reason)
        matrix = self.fallback.matrix(places, departs_at)
        return FallbackMatrix(matrix.duration_s, matrix.distance_m, f"{self.service}: {reason}")

    def _figures(self, places: Sequence[Place]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Seconds and metres of all pairs, not a number where there is no way. Raises `_Failed`."""
        seconds, metres = (np.full((len(places), len(places)), np.nan) for _ in range(2))
        router = self._new_router()
        try:
            for rows in self._blocks(len(places)):
                for columns in self._blocks(len(places)):
                    others = None if rows == columns else places[columns]
                    block = self._persistently(router, places[rows], others)
                    seconds[rows, columns], metres[rows, columns] = block
        finally:
            router.client.close()
        return seconds, metres

    def _blocks(self, count: int) -> Iterable[slice]:
        """As few as possible, all of about the same size."""
        edges = np.linspace(0, count, math.ceil(count / self.block) + 1).round().astype(int).tolist()
        return [slice(begin, end) for begin, end in pairwise(edges)]

    def _persistently(
        self, router: Any, sources: Sequence[Place], destinations: Sequence[Place] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """One block, asked for until it is told, the failure will not pass, or the attempts are used up."""
        pause_s = FIRST_PAUSE_S
        for attempt in range(1, self.attempts + 1):
            try:
                return self._ask(router, sources, destinations)
            except _Failed as error:
                wait_s = max(pause_s, error.wait_s)
                if not error.may_pass or attempt == self.attempts or wait_s > LONGEST_PAUSE_S:
                    raise
                logger.info("%s: %s; asking again in %g s", self.service, error, wait_s)
            self.sleep(wait_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        raise AssertionError("the last attempt returns or raises")

    def _ask(
        self, router: Any, sources: Sequence[Place], destinations: Sequence[Place] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """One request; none for a place alone. destinations: None if they are the sources."""
        if destinations is None and len(sources) == 1:
            return np.zeros((1, 1)), np.zeros((1, 1))
        locations = [[place.lon, place.lat] for place in (*sources, *(destinations or ()))]
        asked: dict[str, Any] = {"locations": locations, "profile": self._vehicle}
        shape = len(sources), len(sources if destinations is None else destinations)
        if destinations is not None:
            asked["sources"] = list(range(shape[0]))
            asked["destinations"] = list(range(shape[0], len(locations)))
        if self.service == "openrouteservice":
            asked["metrics"] = ["duration", "distance"]
        try:
            answer = router.matrix(**asked)
            return _table(answer.durations, shape), _table(answer.distances, shape)
        except (KeyError, TypeError, AttributeError, ValueError):
            raise _Failed("the server's answer is no matrix", may_pass=False) from None


def _table(rows: Any, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Figures of one block; null is not a number. Raises `ValueError` or `TypeError` for anything but a table of this
    shape with null or numbers from 0 on."""
    table = np.array(
        [[np.nan if cell is None else float(cell) for cell in row] for row in rows], dtype=np.float64
    )
    if table.shape != shape or (table < 0).any() or np.isinf(table).any():
        raise ValueError("not a table of the shape asked for")
    return table
