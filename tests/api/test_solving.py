"""The pool of warm processes: bounded, kept, replaced, ended."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from api.solving import Pool, search_s
from dispatch.errors import Unavailable
from optimizer import vroom
from tests.support.solvers import obey


@pytest.fixture
def pool() -> Iterator[Pool]:
    """One process that does what it is told."""
    opened = Pool(1, 0.2, overrun_s=0.3, work=obey)
    yield opened
    opened.close()


def test_a_process_is_kept_from_one_answer_to_the_next(pool: Pool) -> None:
    first, second = pool.answer(b"who"), pool.answer(b"who")

    assert first == second
    assert int(first.text) != os.getpid()


def test_a_process_that_dies_is_replaced(pool: Pool) -> None:
    before = pool.answer(b"who")

    with pytest.raises(Unavailable) as refusal:
        pool.answer(b"die")

    assert refusal.value.code == "solver_died"
    assert pool.answer(b"who") != before


def test_a_process_that_overruns_is_killed_and_replaced(pool: Pool) -> None:
    before = pool.answer(b"who")

    with pytest.raises(Unavailable) as refusal:
        pool.answer(b"sleep")

    assert refusal.value.code == "solver_overran"
    assert not _alive(int(before.text))
    assert pool.answer(b"who") != before


def test_when_all_are_busy_the_next_is_told_to_come_again() -> None:
    pool = Pool(1, 20.0, work=obey)
    pool.answer(b"who")
    busy = threading.Thread(target=_answered_or_refused, args=(pool, b"sleep"), daemon=True)
    busy.start()

    refusal = _refusal_within(pool, 5.0)
    pool.close()

    assert refusal.code == "solvers_busy"
    assert int(refusal.headers["Retry-After"]) >= 1


def test_a_closed_pool_has_ended_its_processes() -> None:
    pool = Pool(1, 0.2, work=obey)
    process = int(pool.answer(b"who").text)

    pool.close()

    assert not _alive(process)
    with pytest.raises(Unavailable):
        pool.answer(b"who")


@pytest.mark.parametrize(
    ("jobs", "options", "seconds"),
    [
        (1, {}, 0.21),
        (300, {}, 3.2),
        (300, {"x": 2}, 1.7),
        (300, {"l": 0.5}, 0.5),
        (300, {"l": 0.01}, 0.2),
        (2000, {}, 10.0),
    ],
)
def test_the_search_takes_longer_for_more_jobs_and_no_longer_than_allowed(
    jobs: int, options: dict[str, float], seconds: float
) -> None:
    request = vroom.read_document(
        {
            "jobs": [{"id": n, "location_index": 0} for n in range(jobs)],
            "vehicles": [{"id": 1, "start_index": 0}],
            "matrix": [[0]],
            "options": options,
        }
    )

    assert search_s(request, 10.0) == pytest.approx(seconds)


def _refusal_within(pool: Pool, seconds: float) -> Unavailable:
    """What the pool says once its process is busy; before that it answers."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        refusal = _answered_or_refused(pool, b"who")
        if refusal is not None:
            return refusal
    raise AssertionError("the pool was never busy")


def _answered_or_refused(pool: Pool, told: bytes) -> Unavailable | None:
    try:
        pool.answer(told)
    except Unavailable as refusal:
        return refusal
    return None


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
