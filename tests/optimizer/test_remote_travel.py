"""Servers on loopback that speak the three protocols, as their documentation has them, and fail on demand."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from optimizer.matrix_cache import Cached
from optimizer.problem import UNREACHABLE
from optimizer.remote_travel import Remote, RemoteFailed, Service
from optimizer.travel import STEADY, FallbackMatrix, Geodesic, Place, SpeedProfile

SERVICES: tuple[Service, ...] = ("osrm", "valhalla", "openrouteservice")
LAKE = Place(47.5, 9.5)
CITY = [Place(47.4 + index / 100, 9.1 + (index * 7 % 5) / 100) for index in range(7)]

Location = tuple[float, float]


def way(start: Location, end: Location) -> tuple[float, float] | None:
    """Seconds and metres by this world's roads: slower to the north than back; None across the lake."""
    if start != end and (LAKE.lon, LAKE.lat) in (start, end):
        return None
    north, east = end[1] - start[1], end[0] - start[0]
    metres = (abs(north) + abs(east)) * 100_000
    return metres / 10 + (30 if north > 0 else 0), metres


@dataclass
class Fault:
    """What the next request gets instead of a matrix."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False


@dataclass
class Server:
    """What was asked of it, and what goes wrong first."""

    url: str = ""
    limit: int = 100
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    server_state: Server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at the log."""

    def do_GET(self) -> None:
        """OSRM's table."""
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        found = [tuple(map(float, pair.split(","))) for pair in url.path.rpartition("/")[2].split(";")]
        everything = ";".join(map(str, range(len(found))))
        sources, targets = (
            [found[int(index)] for index in query.get(name, everything).split(";")]
            for name in ("sources", "destinations")
        )
        assert query["annotations"] == "duration,distance"
        self._serve(
            sources,
            targets,
            lambda table: {
                "code": "Ok",
                "durations": [[cell and cell[0] for cell in row] for row in table],
                "distances": [[cell and cell[1] for cell in row] for row in table],
            },
        )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/sources_to_targets":
            sources, targets = ([(p["lon"], p["lat"]) for p in body[name]] for name in ("sources", "targets"))
            self._serve(
                sources,
                targets,
                lambda table: {
                    "sources_to_targets": [
                        [{"time": cell and cell[0], "distance": cell and cell[1] / 1000} for cell in row]
                        for row in table
                    ]
                },
            )
            return
        assert sorted(body["metrics"]) == ["distance", "duration"]
        found = [tuple(pair) for pair in body["locations"]]
        sources, targets = (
            [found[index] for index in body.get(name, range(len(found)))]
            for name in ("sources", "destinations")
        )
        self._serve(
            sources,
            targets,
            lambda table: {
                "durations": [[cell and cell[0] for cell in row] for row in table],
                "distances": [[cell and cell[1] for cell in row] for row in table],
            },
        )

    def _serve(self, sources: Sequence[Any], targets: Sequence[Any], render: Any) -> None:
        state = self.server_state
        state.asked.append((len(sources), len(targets)))
        state.paths.append(urlsplit(self.path).path)
        state.keys.append(self.headers.get("Authorization"))
        if state.faults:
            fault = state.faults.pop(0)
            if fault.silent:
                state.release.wait(20)
                return
            self._send(fault.status, fault.body, fault.headers)
        elif len(sources) * len(targets) > state.limit:
            self._send(400, b'{"code": "TooBig", "message": "too many"}', {})
        else:
            answer = render([[way(start, end) for end in targets] for start in sources])
            self._send(200, json.dumps(answer).encode(), {})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving() -> Iterator[Server]:
    state = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"server_state": state}))
    state.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.release.set()
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as state:
        yield state


@pytest.fixture
def naps() -> list[float]:
    return []


def remote(server: Server, naps: list[float], service: Service = "osrm", **settings: Any) -> Remote:
    settings = {"parking_s": 0, "profile": STEADY, "sleep": naps.append, **settings}
    return Remote(service, server.url, **settings)


def expected(places: Sequence[Place]) -> tuple[list[list[int]], list[list[int]]]:
    ways = [[way((a.lon, a.lat), (b.lon, b.lat)) for b in places] for a in places]
    seconds = [[UNREACHABLE if cell is None else round(cell[0]) for cell in row] for row in ways]
    metres = [[UNREACHABLE if cell is None else round(cell[1]) for cell in row] for row in ways]
    return seconds, metres


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("block", [1, 3, 50])
def test_a_matrix_in_blocks_is_the_matrix(
    server: Server, naps: list[float], service: Service, block: int
) -> None:
    matrix = remote(server, naps, service, block=block).matrix(CITY)

    seconds, metres = expected(CITY)
    assert np.abs(matrix.duration_s - np.array(seconds)).max() <= 1
    assert np.abs(matrix.distance_m - np.array(metres)).max() <= 1
    assert max(max(size) for size in server.asked) <= block


def test_no_request_is_larger_than_the_server_takes(server: Server, naps: list[float]) -> None:
    server.limit = 9

    remote(server, naps, block=3).matrix(CITY)

    assert len(server.asked) == 9
    assert all(rows * columns <= 9 for rows, columns in server.asked)


@pytest.mark.parametrize("service", SERVICES)
def test_a_pair_without_a_way_is_unreachable(server: Server, naps: list[float], service: Service) -> None:
    matrix = remote(server, naps, service).matrix([CITY[0], LAKE, CITY[1]])

    assert matrix.duration_s[:, 1].tolist() == [UNREACHABLE, 0, UNREACHABLE]
    assert matrix.distance_m[1].tolist() == [UNREACHABLE, 0, UNREACHABLE]
    assert matrix.duration_s[0, 2] < UNREACHABLE


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_for_again(
    server: Server, naps: list[float], service: Service, status: int
) -> None:
    server.faults = [Fault(status), Fault(status)]

    matrix = remote(server, naps, service).matrix(CITY)

    assert naps == [1.0, 2.0]
    assert np.abs(matrix.duration_s - np.array(expected(CITY)[0])).max() <= 1


def test_the_server_says_when_to_ask_again(server: Server, naps: list[float]) -> None:
    server.faults = [
        Fault(429, headers={"Retry-After": "7"}),
        Fault(503, headers={"Retry-After": "tomorrow"}),
    ]

    remote(server, naps).matrix(CITY)

    assert naps == [7.0, 2.0]


def test_a_server_that_wants_to_rest_for_long_is_given_up_at_once(server: Server, naps: list[float]) -> None:
    server.faults = [Fault(429, headers={"Retry-After": "3600"})]

    with pytest.raises(RemoteFailed, match="429"):
        remote(server, naps).matrix(CITY)

    assert naps == []


def test_silence_is_given_up_after_the_time_out_and_asked_again(server: Server, naps: list[float]) -> None:
    server.faults = [Fault(silent=True)]

    matrix = remote(server, naps, timeout_s=0.2).matrix(CITY)

    assert naps == [1.0]
    assert np.abs(matrix.duration_s - np.array(expected(CITY)[0])).max() <= 1


def test_attempts_are_bounded_and_pauses_grow_to_a_minute(server: Server, naps: list[float]) -> None:
    server.faults = [Fault(503)] * 20

    with pytest.raises(RemoteFailed, match="osrm: the server answered 503"):
        remote(server, naps, attempts=9).matrix(CITY)

    assert naps == [1, 2, 4, 8, 16, 32, 60, 60]
    assert len(server.asked) == 9


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404])
def test_a_refusal_is_not_asked_again(server: Server, naps: list[float], status: int) -> None:
    server.faults = [Fault(status, headers={"Location": "http://127.0.0.1:9/"})]

    with pytest.raises(RemoteFailed, match=str(status)):
        remote(server, naps).matrix(CITY)

    assert naps == []
    assert len(server.asked) == 1


def test_broken_json_is_asked_again(server: Server, naps: list[float]) -> None:
    server.faults = [Fault(200, b'{"durations": [[0, 1'), Fault(200, b"<html>")]

    remote(server, naps).matrix(CITY)

    assert naps == [1.0, 2.0]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"{}",
        b'{"durations": [[0]], "distances": [[0]], "sources_to_targets": [[{"time": 0, "distance": 0}]]}',
        b'{"durations": [[0, "x"], [1, 0]], "distances": [[0, 1], [1, 0]], "sources_to_targets": [[3]]}',
        b'{"durations": [[0, -5], [1, 0]], "distances": [[0, 1], [1, 0]], "sources_to_targets": "no"}',
        b'{"durations": [[0, 1e999], [1, 0]], "distances": [[0, 1], [1, 0]], "sources_to_targets": {}}',
    ],
)
def test_an_answer_that_is_no_matrix_is_a_failure(
    server: Server, naps: list[float], service: Service, body: bytes
) -> None:
    server.faults = [Fault(200, body)]

    with pytest.raises(RemoteFailed, match="no matrix"):
        remote(server, naps, service).matrix(CITY[:2])


@pytest.mark.parametrize("fault", [Fault(503), Fault(400), Fault(200, b"nonsense"), Fault(200, b"{}")])
def test_the_fall_back_answers_and_says_so(
    server: Server, naps: list[float], fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    server.faults = [fault] * 4
    provider = remote(server, naps, fallback=Geodesic(), on_fallback=told.append)
    hour = datetime(2026, 3, 9, 3, tzinfo=UTC)

    with caplog.at_level(logging.WARNING):
        matrix = provider.matrix(CITY, hour)

    assert isinstance(matrix, FallbackMatrix)
    assert matrix.duration_s.tolist() == Geodesic().matrix(CITY, hour).duration_s.tolist()
    assert told == [matrix.reason.removeprefix("osrm: ")]
    assert "Geodesic answers for it" in caplog.text


def test_one_failed_block_makes_the_whole_matrix_the_fall_backs(server: Server, naps: list[float]) -> None:
    server.limit = 9
    provider = remote(server, naps, block=3, fallback=Geodesic())
    server.faults = []
    good = provider.matrix(CITY)
    server.faults = [Fault(400)]

    matrix = provider.matrix(CITY)

    assert not isinstance(good, FallbackMatrix)
    assert isinstance(matrix, FallbackMatrix)
    assert matrix.distance_m.tolist() == Geodesic().matrix(CITY).distance_m.tolist()


def test_a_server_that_is_not_there_is_a_failure(naps: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as gone:
        pass

    with pytest.raises(RemoteFailed, match="could not be asked"):
        remote(gone, naps).matrix(CITY)

    assert naps == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("faults", [[], [Fault(429), Fault(200, b"<"), Fault(404)], [Fault(silent=True)] * 4])
def test_no_coordinate_reaches_a_log_or_an_error(
    server: Server,
    naps: list[float],
    service: Service,
    faults: list[Fault],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.faults = list(faults)
    provider = remote(server, naps, service, timeout_s=0.2, fallback=Geodesic())
    places = [Place(47.4142135, 9.1618033), Place(47.4271828, 9.1314159)]

    with caplog.at_level(logging.DEBUG):
        matrix = provider.matrix(places)

    said = caplog.text + repr(provider) + getattr(matrix, "reason", "")
    assert not [number for number in ("47.4", "9.16", "9.13") if number in said]


def test_the_hour_and_the_parking_count_as_everywhere(server: Server, naps: list[float]) -> None:
    half_speed_at_8 = SpeedProfile((1.0,) * 8 + (0.5,) + (1.0,) * 15)
    provider = remote(server, naps, profile=half_speed_at_8, parking_s=60)
    places = [CITY[1], CITY[0], CITY[1]]

    by_day = provider.matrix(places).duration_s
    at_8 = provider.matrix(places, datetime(2026, 3, 9, 8, tzinfo=UTC)).duration_s

    drive_s = expected(places)[0][0][1]
    assert by_day[0, 1] == pytest.approx(drive_s + 60, abs=1)
    assert at_8[0, 1] == pytest.approx(2 * drive_s + 60, abs=1)
    assert by_day[0, 2] == at_8[0, 2] == 0


def test_the_key_goes_to_the_server_and_nowhere_else(server: Server, naps: list[float]) -> None:
    provider = remote(server, naps, "openrouteservice", api_key="secret-key")

    provider.matrix(CITY)

    assert server.keys == ["secret-key"]
    assert "secret-key" not in repr(provider) + provider.cache_key


def test_the_vehicle_is_the_servers_name_for_it(server: Server, naps: list[float]) -> None:
    remote(server, naps, "openrouteservice").matrix(CITY)
    remote(server, naps, "openrouteservice", vehicle="driving-hgv").matrix(CITY)

    assert server.paths == ["/v2/matrix/driving-car/json", "/v2/matrix/driving-hgv/json"]


@pytest.mark.parametrize("places", [[], CITY[:1]])
def test_one_place_or_none_needs_no_server(server: Server, naps: list[float], places: list[Place]) -> None:
    matrix = remote(server, naps).matrix(places)

    assert matrix.places == len(places)
    assert matrix.duration_s.sum() == 0
    assert server.asked == []


def test_a_cache_spares_the_server_and_forgets_the_stand_in(
    server: Server, naps: list[float], tmp_path: Any
) -> None:
    server.faults = [Fault(400)]
    cached = Cached(remote(server, naps, fallback=Geodesic()), tmp_path)

    first, second, third = (cached.matrix(CITY) for _ in range(3))

    assert isinstance(first, FallbackMatrix)
    assert not isinstance(second, FallbackMatrix)
    assert third.duration_s.tolist() == second.duration_s.tolist()
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"service": "google"}, "service"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "127.0.0.1:5000"}, "url"),
        ({"url": "http://me:secret@127.0.0.1"}, "url"),
        ({"block": 0}, "block"),
        ({"attempts": 0}, "attempts"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"parking_s": -1}, "parking_s"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Remote(**{"service": "osrm", "url": "http://127.0.0.1:5000", **wrong})


def test_a_missing_package_is_named() -> None:
    code = "import sys; sys.modules['routingpy'] = None; import optimizer; import optimizer.remote_travel"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert "travel told by a server needs the package routingpy" in result.stderr
