"""Plan runs as a worker does them, in the process of the test."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine

from dispatch import replanning
from dispatch.database import transaction
from dispatch.settings import Settings


def run_plans(engine: Engine, settings: Settings, clock: Callable[[], datetime]) -> int:
    """Solves every queued run, one after another; how many."""
    count = 0
    while True:
        with transaction(engine) as session:
            run_id = replanning.take_up(session, clock())
        if run_id is None:
            return count
        replanning.execute(engine, settings, run_id, clock)
        count += 1
