"""How often one may call, counted once however many processes answer."""

from collections.abc import Callable

from api.app import create_app
from dispatch.settings import Settings
from tests.api.things import things
from tests.support.clock import FakeClock


def test_processes_that_share_redis_count_together(
    settings: Settings, clock: FakeClock, new_key: Callable[[str], str], redis_url: str
) -> None:
    shared = settings.model_copy(update={"rate_limits": True, "rate_limit_storage": redis_url})
    processes = [create_app(shared, clock=clock) for _ in range(2)]
    for process in processes:
        process.register_api(things)
    header = {"Authorization": f"Bearer {new_key('dispatcher')}"}

    answers = [
        processes[turn % 2].test_client().get("/v1/scarce-things", headers=header) for turn in range(3)
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
