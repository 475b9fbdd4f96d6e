"""Matrices on disk: what is asked again is read, what is damaged is computed anew, and what is old makes room."""

import logging
import multiprocessing
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from optimizer.matrix_cache import Cached, DamagedFile, read_arrays, write_arrays
from optimizer.problem import TravelMatrix
from optimizer.travel import FallbackMatrix, Geodesic, Place

A, B, C = Place(49.41, 8.69), Place(49.42, 8.70), Place(49.40, 8.68)
MONDAY_8 = datetime(2026, 3, 9, 8, 30, tzinfo=UTC)


class Counting:
    """The straight line, and how often it was asked."""

    def __init__(self, provider: Geodesic | None = None) -> None:
        self.provider = provider or Geodesic()
        self.asked: list[list[Place]] = []

    @property
    def cache_key(self) -> str:
        return self.provider.cache_key

    def matrix(self, places: Sequence[Place], departs_at: datetime | None = None) -> TravelMatrix:
        self.asked.append(list(places))
        return self.provider.matrix(places, departs_at)


class Standing:
    """A provider of which only the stand-in answers."""

    cache_key = "standing"

    def matrix(self, places: Sequence[Place], departs_at: datetime | None = None) -> TravelMatrix:
        answer = Geodesic().matrix(places, departs_at)
        return FallbackMatrix(answer.duration_s, answer.distance_m, "server silent")


def same(a: TravelMatrix, b: TravelMatrix) -> bool:
    return (a.duration_s == b.duration_s).all() and (a.distance_m == b.distance_m).all()  # type: ignore[no-any-return]


def kept(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_what_was_asked_before_is_read_from_disk(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    expected = Cached(first, tmp_path).matrix([A, B, C], MONDAY_8)

    answer = Cached(second, tmp_path).matrix([A, B, C], MONDAY_8)

    assert second.asked == []
    assert same(answer, expected)
    assert same(answer, Geodesic().matrix([A, B, C], MONDAY_8))


def test_the_same_places_in_another_order_or_twice_are_the_same_question(tmp_path: Path) -> None:
    provider = Counting()
    cached = Cached(provider, tmp_path)
    cached.matrix([A, B, C])

    answer = cached.matrix([C, A, C, B])

    assert len(provider.asked) == 1
    assert same(answer, Geodesic().matrix([C, A, C, B]))


@pytest.mark.parametrize(
    ("provider", "places", "departs_at"),
    [
        (Geodesic(detour=1.4), [A, B], MONDAY_8),
        (Geodesic(), [A, C], MONDAY_8),
        (Geodesic(), [A, Place(B.lat + 0.000_002, B.lon)], MONDAY_8),
        (Geodesic(), [A, B], MONDAY_8.replace(hour=3)),
        (Geodesic(), [A, B], None),
    ],
)
def test_another_setting_place_or_hour_is_another_question(
    tmp_path: Path, provider: Geodesic, places: list[Place], departs_at: datetime | None
) -> None:
    Cached(Geodesic(), tmp_path).matrix([A, B], MONDAY_8)
    counting = Counting(provider)

    answer = Cached(counting, tmp_path).matrix(places, departs_at)

    assert len(counting.asked) == 1
    assert same(answer, provider.matrix(places, departs_at))


def test_minutes_within_the_hour_are_one_question(tmp_path: Path) -> None:
    provider = Counting()
    cached = Cached(provider, tmp_path)
    cached.matrix([A, B], MONDAY_8)

    cached.matrix([A, B], MONDAY_8.replace(day=10, minute=59))

    assert len(provider.asked) == 1


def test_places_are_rounded_before_the_provider_sees_them(tmp_path: Path) -> None:
    provider = Counting()
    cached = Cached(provider, tmp_path)
    cached.matrix([A, B])

    cached.matrix([Place(A.lat + 0.000_000_3, A.lon - 0.000_000_3), B])

    assert provider.asked == [[A, B]]


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_damaged_file_is_computed_anew_and_told(
    tmp_path: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    expected = Cached(Geodesic(), tmp_path).matrix([A, B])
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if damage is None else damage)
    provider = Counting()
    cached = Cached(provider, tmp_path)

    with caplog.at_level(logging.WARNING):
        answer = cached.matrix([A, B])
        cached.matrix([A, B])

    assert same(answer, expected)
    assert len(provider.asked) == 1
    assert "damaged" in caplog.text
    assert "49.4" not in caplog.text


def test_what_was_used_longest_ago_makes_room(tmp_path: Path) -> None:
    cached = Cached(Geodesic(), tmp_path, max_bytes=2**20)
    names = []
    for age, places in enumerate(([A, B], [A, C], [B, C])):
        before = kept(tmp_path) if tmp_path.exists() else set()
        cached.matrix(places)
        (name,) = kept(tmp_path) - before
        os.utime(tmp_path / name, (1_000_000 + age, 1_000_000 + age))
        names.append(name)
    size = (tmp_path / names[0]).stat().st_size

    cached.matrix([A, B])
    Cached(Geodesic(), tmp_path, max_bytes=3 * size).matrix([A, B, Place(49.5, 8.7)])

    assert names[0] in kept(tmp_path)
    assert names[1] not in kept(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 3 * size


def test_an_answer_over_the_limit_is_handed_on_and_not_kept(tmp_path: Path) -> None:
    provider = Counting()
    cached = Cached(provider, tmp_path, max_bytes=10)

    answer = cached.matrix([A, B])

    assert same(answer, Geodesic().matrix([A, B]))
    assert list(tmp_path.iterdir()) == []


def test_the_answer_of_a_stand_in_is_never_kept(tmp_path: Path) -> None:
    answer = Cached(Standing(), tmp_path).matrix([C, A, B])

    assert isinstance(answer, FallbackMatrix)
    assert answer.reason == "server silent"
    assert same(answer, Geodesic().matrix([C, A, B]))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_costs_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("not a directory")

    with caplog.at_level(logging.WARNING):
        answer = Cached(Geodesic(), tmp_path / "file" / "cache").matrix([A, B])

    assert same(answer, Geodesic().matrix([A, B]))
    assert "could not be read" in caplog.text
    assert "could not be kept" in caplog.text


def ask_often(directory: Path, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cached = Cached(Geodesic(), directory, max_bytes=size)
    for _ in range(40):
        places = [(A, B), (A, C), (B, C), (A, B, C)][rng.integers(4)]
        assert same(cached.matrix(places), Geodesic().matrix(places))


def test_several_processes_share_a_directory(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=ask_often, args=(tmp_path, 1500, seed)) for seed in range(3)]

    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]


def test_a_write_that_fails_leaves_the_file_of_before(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    write_arrays(path, {"numbers": np.arange(3)})

    with pytest.raises(ValueError, match="allow_pickle=False"):
        write_arrays(path, {"numbers": np.array([object()])})

    assert read_arrays(path)["numbers"].tolist() == [0, 1, 2]
    assert kept(tmp_path) == {"numbers"}


def test_a_file_of_somebody_else_is_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    path.write_bytes(b"PK" + bytes(100))

    with pytest.raises(DamagedFile, match="numbers"):
        read_arrays(path)


def test_a_negative_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_bytes"):
        Cached(Geodesic(), tmp_path, max_bytes=-1)
