"""Roads drawn here with osmium's writer: a few junctions near the equator, where a thousandth of a degree is 111 m."""

import itertools
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import osmium
import pytest

from optimizer import roads
from optimizer.problem import UNREACHABLE
from optimizer.roads import (
    InvalidMap,
    Roads,
    Unreachable,
    access_of,
    barrier_of,
    directions_of,
    limit_kmh,
    speed_kmh,
    way_of,
)
from optimizer.travel import STEADY, Geodesic, Place, SpeedProfile, between

Point = tuple[int, int]
"""Thousandths of a degree north and east."""

WayTags = tuple[Sequence[Point], dict[str, str]]
Drawing = Callable[..., Roads]

EXTRACT = os.environ.get("DISPATCH_OSM_FILE")

STREET = {"highway": "residential"}
STREET_M_S = 25 / 3.6


def at(point: Point) -> Place:
    return Place(point[0] / 1000, point[1] / 1000)


def metres(*points: Point) -> float:
    return sum(between(at(a), at(b)) for a, b in itertools.pairwise(points))


def write_map(path: Path, ways: Sequence[WayTags], nodes: dict[Point, dict[str, str]] | None = None) -> Path:
    points = sorted({point for line, _ in ways for point in line})
    number = {point: index for index, point in enumerate(points, start=1)}
    path.unlink(missing_ok=True)
    with osmium.SimpleWriter(str(path)) as writer:
        for point in points:
            place = at(point)
            tags = (nodes or {}).get(point, {})
            writer.add_node(
                osmium.osm.mutable.Node(
                    id=number[point], location=(place.lon, place.lat), tags=tags, version=1
                )
            )
        for index, (line, tags) in enumerate(ways, start=1):
            refs = [number[point] for point in line]
            writer.add_way(osmium.osm.mutable.Way(id=index, nodes=refs, tags=tags, version=1))
    return path


@pytest.fixture
def draw(tmp_path: Path) -> Drawing:
    """The roads of a map of these ways, without parking and without traffic unless asked for."""

    def drawn(*ways: WayTags, nodes: dict[Point, dict[str, str]] | None = None, **settings: Any) -> Roads:
        settings = {"parking_s": 0, "profile": STEADY, "least_part_m": 0.0, **settings}
        return Roads.from_file(write_map(tmp_path / "drawn.osm.pbf", ways, nodes), **settings)

    return drawn


def leg(provider: Roads, start: Place, end: Place) -> tuple[int, int]:
    matrix = provider.matrix([start, end])
    return int(matrix.duration_s[0, 1]), int(matrix.distance_m[0, 1])


def test_a_street_takes_its_length_at_the_speed_of_its_class(draw: Drawing) -> None:
    line = [(0, 0), (0, 5), (3, 5)]
    provider = draw((line, STREET), parking_s=90)

    seconds, distance = leg(provider, at((0, 0)), at((3, 5)))

    assert distance == pytest.approx(metres(*line), abs=1)
    assert seconds == pytest.approx(metres(*line) / STREET_M_S + 90, abs=1)


def test_places_between_junctions_drive_their_part_of_the_street(draw: Drawing) -> None:
    provider = draw(([(0, 0), (0, 10)], STREET))

    matrix = provider.matrix([at((0, 2)), at((0, 9)), at((0, 0))])

    expected = [[metres(a, b) for b in ((0, 2), (0, 9), (0, 0))] for a in ((0, 2), (0, 9), (0, 0))]
    assert matrix.distance_m == pytest.approx(np.array(expected), abs=1)
    assert matrix.duration_s == pytest.approx(np.array(expected) / STREET_M_S, abs=1)


def test_the_walk_to_the_road_is_straight_and_slow(draw: Drawing) -> None:
    provider = draw(([(0, 0), (0, 10)], STREET), access_kmh=3.6)
    beside = Place(0.0005, 0.004)

    seconds, distance = leg(provider, beside, at((0, 10)))

    walk_m, drive_m = between(beside, at((0, 4))), metres((0, 4), (0, 10))
    assert distance == pytest.approx(walk_m + drive_m, abs=1)
    assert seconds == pytest.approx(walk_m + drive_m / STREET_M_S, abs=1)


def test_a_one_way_street_is_left_at_its_end_and_entered_at_its_beginning(draw: Drawing) -> None:
    around = [(0, 6), (4, 6), (4, 0), (0, 0)]
    provider = draw(([(0, 0), (0, 6)], {**STREET, "oneway": "yes"}), (around, STREET))

    along = leg(provider, at((0, 0)), at((0, 6)))
    against = leg(provider, at((0, 4)), at((0, 2)))

    assert along[1] == pytest.approx(metres((0, 0), (0, 6)), abs=1)
    assert against[1] == pytest.approx(metres((0, 4), *around, (0, 2)), abs=1)


def test_a_one_way_street_drawn_backwards_runs_the_other_way(draw: Drawing) -> None:
    around = [(0, 6), (4, 6), (4, 0), (0, 0)]
    provider = draw(([(0, 0), (0, 6)], {**STREET, "oneway": "-1"}), (around, STREET))

    assert leg(provider, at((0, 6)), at((0, 0)))[1] == pytest.approx(metres((0, 0), (0, 6)), abs=1)
    assert leg(provider, at((0, 0)), at((0, 6)))[1] == pytest.approx(metres(*around), abs=1)


def test_a_roundabout_is_driven_one_way_round(draw: Drawing) -> None:
    ring = [(0, 2), (2, 4), (4, 2), (2, 0), (0, 2)]
    provider = draw(
        (ring, {**STREET, "junction": "roundabout"}),
        ([(2, 4), (2, 9)], STREET),
        ([(2, 0), (2, -5)], STREET),
        ([(4, 2), (9, 2)], STREET),
    )

    third_exit = leg(provider, at((2, 9)), at((2, -5)))
    first_exit = leg(provider, at((2, 9)), at((9, 2)))
    back = leg(provider, at((9, 2)), at((2, 9)))

    assert third_exit[1] == pytest.approx(metres((2, 9), (2, 4), (4, 2), (2, 0), (2, -5)), abs=1)
    assert first_exit[1] == pytest.approx(metres((2, 9), (2, 4), (4, 2), (9, 2)), abs=1)
    assert back[1] == pytest.approx(metres((9, 2), (4, 2), (2, 0), (0, 2), (2, 4), (2, 9)), abs=1)


def test_a_road_that_is_one_ring_is_driven_round(draw: Drawing) -> None:
    ring = [(0, 0), (0, 4), (4, 4), (4, 0), (0, 0)]
    provider = draw((ring, {**STREET, "oneway": "yes"}))

    assert leg(provider, at((0, 2)), at((4, 2)))[1] == pytest.approx(
        metres((0, 2), *ring[1:3], (4, 2)), abs=1
    )
    assert leg(provider, at((4, 2)), at((0, 2)))[1] == pytest.approx(
        metres((4, 2), (4, 0), (0, 0), (0, 2)), abs=1
    )


def test_the_quickest_way_is_taken_and_its_own_length_told(draw: Drawing) -> None:
    bypass = [(0, 0), (5, 0), (5, 10), (0, 10)]
    provider = draw(([(0, 0), (0, 10)], STREET), (bypass, {"highway": "primary", "maxspeed": "100"}))

    seconds, distance = leg(provider, at((0, 0)), at((0, 10)))

    assert distance == pytest.approx(metres(*bypass), abs=1)
    assert seconds == pytest.approx(metres(*bypass) / (80 / 3.6), abs=1)


def test_a_limit_may_differ_by_direction(draw: Drawing) -> None:
    line = [(0, 0), (0, 10)]
    provider = draw((line, {**STREET, "maxspeed": "50", "maxspeed:backward": "30"}))

    there, back = leg(provider, at((0, 0)), at((0, 10))), leg(provider, at((0, 10)), at((0, 0)))

    assert there[0] == pytest.approx(metres(*line) / (40 / 3.6), abs=1)
    assert back[0] == pytest.approx(metres(*line) / (24 / 3.6), abs=1)


def test_a_dead_end_is_entered_and_left_again(draw: Drawing) -> None:
    provider = draw(([(0, 0), (0, 5), (0, 10)], STREET), ([(0, 5), (3, 5)], STREET))

    assert leg(provider, at((3, 5)), at((0, 10)))[1] == pytest.approx(metres((3, 5), (0, 5), (0, 10)), abs=1)
    assert leg(provider, at((0, 0)), at((3, 5)))[1] == pytest.approx(metres((0, 0), (0, 5), (3, 5)), abs=1)


def test_a_closed_road_is_not_driven(draw: Drawing) -> None:
    around = [(0, 0), (4, 0), (4, 6), (0, 6)]
    provider = draw(([(0, 0), (0, 6)], {**STREET, "access": "no"}), (around, STREET))

    assert leg(provider, at((0, 0)), at((0, 6)))[1] == pytest.approx(metres(*around), abs=1)


@pytest.mark.parametrize("private", [{"access": "private"}, {"motor_vehicle": "destination"}])
def test_a_private_road_begins_or_ends_a_way_and_none_leads_through_it(
    draw: Drawing, private: dict[str, str]
) -> None:
    around = [(0, 0), (4, 0), (4, 6), (0, 6)]
    provider = draw(([(0, 0), (0, 3), (0, 6)], {**STREET, **private}), (around, STREET))

    through = leg(provider, at((0, 0)), at((0, 6)))
    into = leg(provider, at((4, 6)), at((0, 4)))
    out = leg(provider, at((0, 4)), at((4, 6)))
    within = leg(provider, at((0, 1)), at((0, 5)))

    assert through[1] == pytest.approx(metres(*around), abs=1)
    assert into == out
    assert into[1] == pytest.approx(metres((4, 6), (0, 6), (0, 4)), abs=1)
    assert within[1] == pytest.approx(metres((0, 1), (0, 5)), abs=1)


def test_a_car_park_behind_a_private_drive_is_reached(draw: Drawing) -> None:
    provider = draw(
        ([(0, 0), (0, 5), (0, 10)], STREET),
        ([(0, 5), (2, 5)], {"highway": "service", "access": "private"}),
        ([(2, 5), (4, 5)], {"highway": "service"}),
    )

    way = metres((0, 0), (0, 5), (2, 5), (4, 5))

    assert leg(provider, at((0, 0)), at((4, 5)))[1] == pytest.approx(way, abs=1)
    assert leg(provider, at((4, 5)), at((0, 0)))[1] == pytest.approx(way, abs=1)
    assert provider.unreachable([at((4, 5))]) == []


def test_a_bollard_shuts_a_street_and_a_gate_does_not(draw: Drawing) -> None:
    straight, around = [(0, 0), (0, 3), (0, 6)], [(0, 0), (4, 0), (4, 6), (0, 6)]
    ways = ((straight, STREET), (around, STREET))

    shut = draw(*ways, nodes={(0, 3): {"barrier": "bollard"}})
    gate = draw(*ways, nodes={(0, 3): {"barrier": "gate"}})

    assert leg(shut, at((0, 0)), at((0, 6)))[1] == pytest.approx(metres(*around), abs=1)
    assert leg(shut, at((0, 2)), at((0, 4)))[1] == pytest.approx(metres((0, 2), *around, (0, 4)), abs=1)
    assert leg(gate, at((0, 0)), at((0, 6)))[1] == pytest.approx(metres(*straight), abs=1)


def test_a_private_gate_opens_for_those_who_visit_and_for_nobody_else(draw: Drawing) -> None:
    straight, around = [(0, 0), (0, 3), (0, 6)], [(0, 0), (4, 0), (4, 6), (0, 6)]
    gate = {(0, 3): {"barrier": "gate", "access": "private"}}
    provider = draw((straight, STREET), (around, STREET), nodes=gate)
    yard = draw(([(0, 0), (0, 3)], STREET), ([(0, 3), (0, 6), (0, 8)], STREET), nodes=gate)

    assert leg(provider, at((0, 0)), at((0, 6)))[1] == pytest.approx(metres(*around), abs=1)
    assert leg(yard, at((0, 0)), at((0, 8)))[1] == pytest.approx(metres((0, 0), (0, 8)), abs=1)


ISLAND = ([(50, 0), (50, 3)], STREET)
MAINLAND = ([(0, 0), (0, 10)], STREET)


def test_a_place_on_an_island_is_cut_off_and_told(draw: Drawing) -> None:
    provider = draw(MAINLAND, ISLAND)
    places = [at((0, 0)), at((0, 10)), at((50, 0)), at((50, 3))]

    matrix = provider.matrix(places)

    assert provider.unreachable(places) == [Unreachable(2, "cut_off", 0), Unreachable(3, "cut_off", 0)]
    assert (matrix.duration_s[:2, 2:] == UNREACHABLE).all()
    assert (matrix.distance_m[2:, :2] == UNREACHABLE).all()
    assert matrix.distance_m[2, 3] == pytest.approx(metres((50, 0), (50, 3)), abs=1)


def test_a_place_far_from_every_road_is_unreachable_and_told(draw: Drawing) -> None:
    provider = draw(MAINLAND, max_access_m=200)
    places = [at((0, 0)), at((3, 5)), at((0, 10))]

    matrix = provider.matrix(places)

    assert provider.unreachable(places) == [Unreachable(1, "far_from_road", round(metres((0, 5), (3, 5))))]
    assert matrix.duration_s[1].tolist() == [UNREACHABLE, 0, UNREACHABLE]
    assert matrix.distance_m[:, 1].tolist() == [UNREACHABLE, 0, UNREACHABLE]
    assert matrix.distance_m[0, 2] < UNREACHABLE


def test_a_scrap_of_road_is_passed_over_for_the_next_road(draw: Drawing) -> None:
    scrap = ([(2, 5), (2, 6)], STREET)
    place = at((2, 5))

    as_it_lies = draw(MAINLAND, scrap)
    passed_over = draw(MAINLAND, scrap, least_part_m=500)

    assert as_it_lies.unreachable([place]) == [Unreachable(0, "cut_off", 0)]
    assert passed_over.unreachable([place]) == []
    expected_m = metres((2, 5), (0, 5), (0, 0))
    assert leg(passed_over, place, at((0, 0)))[1] == pytest.approx(expected_m, abs=1)


def test_a_street_that_can_be_entered_and_not_left_takes_no_place(draw: Drawing) -> None:
    provider = draw(MAINLAND, ([(0, 10), (0, 20)], {**STREET, "oneway": "yes"}), max_access_m=2_000)

    seconds, distance = leg(provider, at((0, 20)), at((0, 0)))

    assert distance == pytest.approx(metres((0, 20), (0, 0)), abs=1)
    assert seconds < UNREACHABLE


def test_the_hour_slows_the_drive_and_not_the_walk(draw: Drawing) -> None:
    half_speed_at_8 = SpeedProfile((1.0,) * 8 + (0.5,) + (1.0,) * 15)
    provider = draw(MAINLAND, profile=half_speed_at_8, access_kmh=3.6, parking_s=60)
    places = [Place(0.0005, 0.0), at((0, 10))]

    by_day = provider.matrix(places).duration_s[0, 1]
    at_8 = provider.matrix(places, datetime(2026, 3, 9, 8, tzinfo=UTC)).duration_s[0, 1]

    assert at_8 - by_day == pytest.approx(metres((0, 0), (0, 10)) / STREET_M_S, abs=1)


def test_one_place_asked_for_twice_needs_no_way(draw: Drawing) -> None:
    provider = draw(MAINLAND, parking_s=60)

    matrix = provider.matrix([Place(0.001, 0.003), Place(0.001, 0.003)])

    assert matrix.duration_s.tolist() == [[0, 0], [0, 0]]
    assert matrix.distance_m.tolist() == [[0, 0], [0, 0]]


def test_no_places_are_an_empty_matrix(draw: Drawing) -> None:
    provider = draw(MAINLAND)

    assert provider.matrix([]).places == 0
    assert provider.unreachable([]) == []


# --- Against the plainest algorithm ---------------------------------------------------------------------------------


def random_city(rng: np.random.Generator, size: int) -> list[WayTags]:
    """A grid of which a third is missing, a third one-way, each block with a speed of its own."""
    ways: list[WayTags] = []
    for row, column in itertools.product(range(size), repeat=2):
        for other in ((row + 1, column), (row, column + 1)):
            if max(other) == size or rng.random() < 0.3:
                continue
            tags = {"highway": "primary", "maxspeed": str(rng.integers(2, 12) * 10)}
            if rng.random() < 0.3:
                tags["oneway"] = str(rng.choice(["yes", "-1"]))
            jitter = int(rng.integers(0, 3))
            middle = (row * 10 + other[0] * 10) // 2 + jitter, (column * 10 + other[1] * 10) // 2 + jitter
            ways.append(([(row * 10, column * 10), middle, (other[0] * 10, other[1] * 10)], tags))
    return ways


def floyd_warshall(ways: Sequence[WayTags], points: Sequence[Point]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Seconds from each point to each, by the plainest of all algorithms."""
    row = {point: index for index, point in enumerate(points)}
    seconds = np.full((len(points), len(points)), np.inf)
    np.fill_diagonal(seconds, 0)
    for line, tags in ways:
        a, b = row[line[0]], row[line[-1]]
        took = metres(*line) / (float(tags["maxspeed"]) * 0.8 / 3.6)
        if tags.get("oneway") != "-1":
            seconds[a, b] = min(seconds[a, b], took)
        if tags.get("oneway") != "yes":
            seconds[b, a] = min(seconds[b, a], took)
    for k in range(len(points)):
        seconds = np.minimum(seconds, seconds[:, k : k + 1] + seconds[k : k + 1, :])
    return seconds


@pytest.mark.parametrize("seed", range(12))
def test_every_way_is_as_quick_as_by_the_plainest_algorithm(draw: Drawing, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ways = random_city(rng, 5)
    points = sorted({line[end] for line, _ in ways for end in (0, -1)})
    expected = floyd_warshall(ways, points)
    provider = draw(*ways)

    matrix = provider.matrix([at(point) for point in points])

    to_and_fro = np.isfinite(expected) & np.isfinite(expected.T)
    largest = np.flatnonzero(to_and_fro[to_and_fro.sum(axis=1).argmax()])
    chosen = np.ix_(largest, largest)
    assert len(largest) > 5
    assert matrix.duration_s[chosen] == pytest.approx(expected[chosen], abs=1)


def test_eliminated_junctions_change_no_way(draw: Drawing, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    ways = random_city(rng, 9)
    places = [Place(*rng.uniform(0, 0.08, 2)) for _ in range(40)]
    expected = draw(*ways, max_access_m=2_000).matrix(places)

    monkeypatch.setattr(roads, "MAX_NEIGHBOURS", -1)
    plain = draw(*ways, max_access_m=2_000)

    assert (plain.graph.owner == -1).all()
    assert plain.matrix(places).duration_s.tolist() == expected.duration_s.tolist()
    assert plain.matrix(places).distance_m.tolist() == expected.distance_m.tolist()


def test_many_places_are_asked_for_in_parts(draw: Drawing, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    provider = draw(*random_city(rng, 5), max_access_m=2_000)
    places = [Place(*rng.uniform(0, 0.04, 2)) for _ in range(10)]
    expected = provider.matrix(places)

    monkeypatch.setattr(roads, "MAX_CELLS", 200)

    assert provider.matrix(places).duration_s.tolist() == expected.duration_s.tolist()


# --- Tags -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "access"),
    [
        ({}, "open"),
        ({"access": "no"}, "closed"),
        ({"access": "no", "motor_vehicle": "yes"}, "open"),
        ({"access": "yes", "motorcar": "no"}, "closed"),
        ({"motor_vehicle": "agricultural;forestry"}, "closed"),
        ({"motor_vehicle": "agricultural;destination"}, "local"),
        ({"access": "customers"}, "local"),
        ({"access": "permissive"}, "open"),
    ],
)
def test_the_most_special_access_decides(tags: dict[str, str], access: str) -> None:
    assert access_of(tags) == access


@pytest.mark.parametrize(
    ("tags", "access"),
    [
        ({}, "open"),
        ({"barrier": "bollard"}, "closed"),
        ({"barrier": "bollard", "motor_vehicle": "yes"}, "open"),
        ({"barrier": "lift_gate"}, "open"),
        ({"barrier": "lift_gate", "access": "private"}, "local"),
        ({"barrier": "gate", "access": "no"}, "closed"),
    ],
)
def test_a_barrier_lets_pass_whom_its_access_names(tags: dict[str, str], access: str) -> None:
    assert barrier_of(tags) == access


@pytest.mark.parametrize(
    ("tags", "directions"),
    [
        ({}, (True, True)),
        ({"oneway": "yes"}, (True, False)),
        ({"oneway": "1"}, (True, False)),
        ({"oneway": "-1"}, (False, True)),
        ({"oneway": "reversible"}, (False, False)),
        ({"junction": "roundabout"}, (True, False)),
        ({"junction": "roundabout", "oneway": "no"}, (True, True)),
        ({"highway": "motorway"}, (True, False)),
        ({"oneway": "yes", "oneway:motor_vehicle": "no"}, (True, True)),
    ],
)
def test_directions_follow_the_tags(tags: dict[str, str], directions: tuple[bool, bool]) -> None:
    assert directions_of(tags) == directions


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        ("50", 50),
        ("30 mph", 48.28),
        ("80 km/h", 80),
        ("50;30", 30),
        ("none", 130),
        ("walk", 7),
        ("DE:urban", 50),
        ("FR:zone30", 30),
        ("variable", None),
        ("0", None),
        ("", None),
        (None, None),
        ("fast", None),
    ],
)
def test_a_limit_is_read_with_its_unit(value: str | None, limit: float | None) -> None:
    assert limit_kmh(value) == (limit if limit is None else pytest.approx(limit, abs=0.01))


def test_a_limit_makes_a_drive_slower_and_never_quicker() -> None:
    assert speed_kmh({"highway": "service", "maxspeed": "50"}, "forward") == 15
    assert speed_kmh({"highway": "service", "maxspeed": "10"}, "forward") == 8
    assert speed_kmh({"highway": "service", "maxspeed": "1"}, "forward") == 3


@pytest.mark.parametrize(
    "tags",
    [
        {"highway": "footway"},
        {"highway": "track"},
        {"highway": "construction"},
        {"highway": "residential", "area": "yes"},
        {"highway": "service", "service": "emergency_access"},
        {"highway": "primary", "oneway": "reversible"},
        {"barrier": "wall"},
    ],
)
def test_what_is_no_road_for_cars_is_left_out(tags: dict[str, str]) -> None:
    assert way_of(tags) is None


# --- Files ----------------------------------------------------------------------------------------------------------


def test_what_was_read_is_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_map(tmp_path / "a.osm.pbf", [MAINLAND, ISLAND])
    first = Roads.from_file(path, tmp_path / "cache")

    monkeypatch.setattr(roads, "read_network", lambda path: pytest.fail("read again"))
    second = Roads.from_file(path, tmp_path / "cache")

    places = [at((0, 0)), at((0, 7)), at((50, 1))]
    assert second.cache_key == first.cache_key
    assert second.matrix(places).duration_s.tolist() == first.matrix(places).duration_s.tolist()
    assert second.unreachable(places) == first.unreachable(places)


def test_a_damaged_cache_is_built_anew_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_map(tmp_path / "a.osm.pbf", [MAINLAND])
    Roads.from_file(path, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    sound = kept.read_bytes()
    kept.write_bytes(sound[:-10])

    with caplog.at_level(logging.WARNING):
        provider = Roads.from_file(path, tmp_path / "cache")

    assert "damaged" in caplog.text
    assert leg(provider, at((0, 0)), at((0, 10)))[1] == pytest.approx(metres((0, 0), (0, 10)), abs=1)
    assert kept.read_bytes() == sound


def test_a_disk_that_fails_costs_time_and_no_road(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_map(tmp_path / "a.osm.pbf", [MAINLAND])
    (tmp_path / "file").write_text("not a directory")

    with caplog.at_level(logging.WARNING):
        provider = Roads.from_file(path, tmp_path / "file")

    assert leg(provider, at((0, 0)), at((0, 10)))[1] == pytest.approx(metres((0, 0), (0, 10)), abs=1)
    assert "could not be kept" in caplog.text


def test_another_map_or_another_setting_has_another_key(tmp_path: Path) -> None:
    one = write_map(tmp_path / "one.osm.pbf", [MAINLAND])
    two = write_map(tmp_path / "two.osm.pbf", [MAINLAND, ISLAND])

    keys = {
        Roads.from_file(one).cache_key,
        Roads.from_file(two).cache_key,
        Roads.from_file(one, parking_s=7).cache_key,
        Roads.from_file(one, profile=STEADY).cache_key,
    }

    assert len(keys) == 4


def test_a_file_that_is_no_map_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.osm.pbf"
    path.write_bytes(b"\0\0\0\x0dno map at all")

    with pytest.raises(InvalidMap, match="not a readable"):
        Roads.from_file(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.osm\.pbf"):
        Roads.from_file(tmp_path / "nowhere.osm.pbf")


@pytest.mark.parametrize(
    "way", [([(0, 0), (0, 9)], {"highway": "footway"}), ([(0, 0), (0, 9)], {**STREET, "oneway": "yes"})]
)
def test_a_map_without_a_road_to_and_fro_is_refused(draw: Drawing, way: WayTags) -> None:
    with pytest.raises(InvalidMap, match="no road"):
        draw(way)


@pytest.mark.parametrize(
    "wrong", [{"parking_s": -1}, {"max_access_m": float("nan")}, {"access_kmh": 0}, {"least_part_m": -1}]
)
def test_settings_that_give_no_travel_time_are_refused(draw: Drawing, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        draw(MAINLAND, **wrong)


def test_a_missing_package_is_named() -> None:
    code = "import sys; sys.modules['osmium'] = None; import optimizer; import optimizer.roads"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert "travel on roads needs the packages osmium and scipy" in result.stderr


# --- A real city ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(EXTRACT is None, reason="needs a real OpenStreetMap extract (DISPATCH_OSM_FILE)")
def test_in_a_real_city_ways_are_longer_than_straight_lines_and_speeds_are_those_of_cars(
    tmp_path: Path,
) -> None:
    provider = Roads.from_file(Path(str(EXTRACT)), tmp_path, parking_s=0, profile=STEADY)
    network, rng = provider.network, np.random.default_rng(0)
    rows = rng.integers(0, len(network.lat_e7), 120)
    anywhere = [Place(network.lat_e7[row] / 1e7, network.lon_e7[row] / 1e7) for row in rows]
    left_out = {found.place for found in provider.unreachable(anywhere)}
    places = [place for index, place in enumerate(anywhere) if index not in left_out]

    matrix = provider.matrix(places)

    straight_m = Geodesic(detour=1).matrix(places).distance_m
    apart = straight_m > 100
    speed_kmh = 3.6 * matrix.distance_m[apart] / matrix.duration_s[apart]
    assert len(left_out) < 30
    assert (matrix.duration_s < UNREACHABLE).all()
    assert (matrix.distance_m >= straight_m - 2).all()
    assert speed_kmh.min() >= 3
    assert speed_kmh.max() <= 110


@pytest.mark.skipif(EXTRACT is None, reason="needs a real OpenStreetMap extract (DISPATCH_OSM_FILE)")
def test_in_a_real_city_no_way_is_quicker_by_way_of_a_third_place(tmp_path: Path) -> None:
    provider = Roads.from_file(Path(str(EXTRACT)), tmp_path, parking_s=0, profile=STEADY)
    network, rng = provider.network, np.random.default_rng(1)
    public = np.flatnonzero(~provider.graph.local)
    rows = network.first[rng.choice(public, 60)]
    places = [Place(network.lat_e7[row] / 1e7, network.lon_e7[row] / 1e7) for row in rows]

    seconds = provider.matrix(places).duration_s.astype(np.int64)

    for k in range(len(places)):
        assert (seconds <= seconds[:, k : k + 1] + seconds[k : k + 1, :] + 2).all()
