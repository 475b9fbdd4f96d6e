"""The ledger of promises over HTTP."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.acme import CUSTOMERS, NEIGHBOURS, Acme

NEXT_DAY, DAY_AFTER = "2027-03-03", "2027-03-04"


@pytest.fixture
def visits(acme: Acme) -> list[Any]:
    """One of tomorrow that is kept, one that was moved to the day after and is broken, one that is cancelled."""
    for day in (NEXT_DAY, DAY_AFTER):
        acme.shift(f"{day}T09:00:00-05:00", f"{day}T17:00:00-05:00")
    kept, moved, cancelled = (
        book(acme, place, name) for name, place in (("A", CUSTOMERS), ("B", NEIGHBOURS), ("C", CUSTOMERS))
    )
    slot = acme.slots(moved[0], **{"from": DAY_AFTER, "to": DAY_AFTER})["items"][0]
    path = f"/v1/appointments/{moved[1]['id']}/reschedule"
    acme.client.act(path, {"slot_id": slot["slot_id"]}, key=acme.dispatcher)
    acme.client.act(f"/v1/appointments/{cancelled[1]['id']}/cancel", {}, key=acme.dispatcher)
    acme.accept(acme.offer(kept[1]["id"])["id"])
    acme.clock.move_to(datetime.fromisoformat(kept[1]["arrival_window"]["start"]))
    acme.progress(kept[1]["id"], "en_route")
    acme.progress(kept[1]["id"], "on_site")
    acme.clock.move_to(datetime(2027, 3, 5, 12, tzinfo=UTC))
    acme.worker()
    return [visit for _, visit in (kept, moved, cancelled)]


def book(acme: Acme, place: dict[str, Any], name: str) -> tuple[Any, Any]:
    registered = acme.request(name, place)
    slot = acme.slots(registered, **{"from": NEXT_DAY, "to": NEXT_DAY})["items"][0]
    return registered, acme.book(registered, slot)["appointment"]


def ledger(acme: Acme, **query: Any) -> Any:
    return acme.client.read("/v1/promises", key=acme.dispatcher, **query)


def test_a_dispatcher_reads_what_became_of_every_promise(acme: Acme, visits: list[Any]) -> None:
    by_visit = [
        [(line["kind"], line["by"]) for line in ledger(acme, appointment_id=visit["id"])["items"][::-1]]
        for visit in visits
    ]

    assert by_visit == [
        [("given", "customer"), ("kept", "technician")],
        [("given", "customer"), ("changed", "dispatcher"), ("broken", "system")],
        [("given", "customer"), ("withdrawn", "dispatcher")],
    ]


def test_the_ledger_is_filtered_and_paged_like_every_list(acme: Acme, visits: list[Any]) -> None:
    broken = ledger(acme, kind="broken")["items"]
    of_the_day_after = ledger(acme, **{"from": DAY_AFTER, "to": DAY_AFTER})["items"]
    first = ledger(acme, limit=4)
    second = ledger(acme, limit=4, cursor=first["next_cursor"])

    assert [line["appointment_id"] for line in broken] == [visits[1]["id"]]
    assert {line["kind"] for line in of_the_day_after} == {"changed", "broken"}
    assert len({line["id"] for line in first["items"] + second["items"]}) == 7
    assert second["next_cursor"] is None
    assert ledger(acme, territory_id=acme.territory["id"])["items"] == ledger(acme)["items"]


def test_the_ledger_is_the_organizations_own(acme: Acme, visits: list[Any]) -> None:
    assert acme.client.call("GET", "/v1/promises").status_code == 401
    assert acme.client.call("GET", "/v1/promises", key=acme.ada_key).status_code == 403
    assert ledger(acme, appointment_id=acme.territory["id"])["items"] == []
