"""Key figures over HTTP, of the day that `figures_world` describes."""

import csv
import io
from dataclasses import dataclass
from typing import Any

import pytest
from sqlmodel import Session

from dispatch.keys import issue_key
from dispatch.settings import Settings
from tests.dispatch.figures_world import build_books
from tests.dispatch.world import NOW, World, clock_time
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

RANGE = {"from": "2026-11-23", "to": "2026-11-24"}
USD = {"currency": "USD"}


@dataclass
class Asked:
    """Asks as a dispatcher of Acme, on the evening of the day."""

    client: ApiClient
    world: World
    key: str

    def figures(self, **query: Any) -> Any:
        return self.client.read("/v1/kpis", key=self.key, **RANGE | query)

    def table(self, **query: Any) -> list[dict[str, str]]:
        response = self.client.call("GET", "/v1/kpis", key=self.key, query=RANGE | {"format": "csv"} | query)
        assert response.status_code == 200
        return list(csv.DictReader(io.StringIO(response.text)))


@pytest.fixture
def asked(client: ApiClient, session: Session, settings: Settings, clock: FakeClock) -> Asked:
    world = World(session, settings)
    world.territory.name = '=HYPERLINK("http://example.com")'
    build_books(world, world.organization)
    _, key = issue_key(session, "dispatcher", organization_id=world.organization.id, now=NOW)
    session.commit()
    clock.move_to(clock_time(22))
    return Asked(client, world, key)


def test_every_figure_comes_with_the_number_it_was_counted_from(asked: Asked) -> None:
    assert asked.figures() == {
        "from": "2026-11-23",
        "to": "2026-11-24",
        "total": {
            "served": 3,
            "cannot_complete": {"count": 1, "reasons": [{"reason": "nobody opened", "count": 1}]},
            "unassigned": 1,
            "late_told": 1,
            "on_time": {"share": 0.3333, "count": 1, "n": 3},
            "first_time_fix": {"share": 0.6667, "count": 2, "n": 3},
            "time_to_fill": {"median_s": 1200, "p90_s": 6000, "n": 3},
            "offers": {"sent": 7, "answered": 5, "accepted": 3, "acceptance": 0.6, "of_sent": 0.4286},
            "utilisation": {
                "share": 0.3958,
                "travel_share": 0.1042,
                "work_s": 11_400,
                "travel_s": 3000,
                "shift_s": 28_800,
                "n": 1,
            },
            "travel_per_visit": {"mean_s": 750.0, "mean_m": 2500.0, "n": 4},
            "csat": {"share": 0.6667, "mean": 3.67, "n": 3},
            "ces": {"mean": 5.0, "n": 2},
            "nps": {"score": 33.3, "n": 3},
            "overrides": {
                "count": 3,
                "forced": 1,
                "extra_travel_s": 300,
                "extra_cost": {"amount": 1300} | USD,
                "n": 2,
            },
            "promises": {
                "given": 4,
                "changed": 0,
                "kept": 2,
                "broken": 2,
                "withdrawn": 0,
                "kept_share": 0.5,
                "n": 4,
            },
        },
        "groups": [],
    }


def test_where_nothing_was_counted_a_figure_is_null(asked: Asked) -> None:
    total = asked.figures(**{"from": "2026-10-01", "to": "2026-10-02"})["total"]

    assert total["on_time"] == {"share": None, "count": 0, "n": 0}
    assert total["time_to_fill"] == {"median_s": None, "p90_s": None, "n": 0}
    assert total["utilisation"] == {
        "share": None,
        "travel_share": None,
        "work_s": 0,
        "travel_s": 0,
        "shift_s": 0,
        "n": 0,
    }
    assert (total["nps"], total["csat"]["mean"], total["overrides"]["extra_cost"]) == (
        {"score": None, "n": 0},
        None,
        None,
    )


def test_groups_say_what_they_are_of(asked: Asked) -> None:
    days = asked.figures(by="day")["groups"]
    pairs = asked.figures(by="day,service")["groups"]

    assert [(group["day"], group["served"]) for group in days] == [("2026-11-23", 0), ("2026-11-24", 3)]
    assert "service" not in days[0]
    told = [(group["day"], group["service"]["name"], group["served"]) for group in pairs]
    assert told[-2:] == [("2026-11-24", "Leak", 2), ("2026-11-24", "Wiring", 1)]
    assert pairs[0]["utilisation"]["share"] is None, "hours are nobody's service"


def test_by_default_it_is_the_four_weeks_up_to_today(asked: Asked) -> None:
    found = asked.client.read("/v1/kpis", key=asked.key)

    assert (found["from"], found["to"], found["total"]["served"]) == ("2026-10-28", "2026-11-24", 3)


def test_a_table_has_a_line_a_group_and_the_same_figures(asked: Asked) -> None:
    total, days = asked.table(), asked.table(by="day")

    assert len(total) == 1
    told = {name: total[0][name] for name in ("served", "on_time_share", "nps_score", "overrides_extra_cost")}
    assert told == {
        "served": "3",
        "on_time_share": "0.3333",
        "nps_score": "33.3",
        "overrides_extra_cost": "1300",
    }
    assert (total[0]["cannot_complete"], total[0]["cannot_complete_reasons"]) == ("1", "nobody opened: 1")
    assert [(line["day"], line["csat_n"], line["csat_share"]) for line in days] == [
        ("2026-11-23", "0", ""),
        ("2026-11-24", "3", "0.6667"),
    ]


def test_a_name_that_looks_like_a_formula_is_text_in_a_table(asked: Asked) -> None:
    (line,) = asked.table(by="territory")

    assert line["territory"] == '\'=HYPERLINK("http://example.com")'


def test_the_form_of_the_answer_is_asked_for_by_header_too(asked: Asked) -> None:
    def form(accepted: str, **query: Any) -> str:
        headers = {"Accept": accepted}
        query = RANGE | query
        response = asked.client.call("GET", "/v1/kpis", key=asked.key, query=query, headers=headers)
        assert response.headers["Vary"] == "Accept"
        return response.mimetype

    assert form("text/csv") == "text/csv"
    assert form("*/*") == form("text/csv", format="json") == "application/json"


def test_figures_are_the_organizations_own(asked: Asked, session: Session) -> None:
    world, client = asked.world, asked.client
    rival = world.new_organization("rival")
    world.new_territory(rival)
    _, rivals = issue_key(session, "dispatcher", organization_id=rival.id, now=NOW)
    _, program = issue_key(session, "integration", organization_id=rival.id, now=NOW)
    session.commit()

    assert client.read("/v1/kpis", key=rivals, **RANGE)["total"]["promises"]["given"] == 0
    assert client.call("GET", "/v1/kpis", key=program).status_code == 403
    assert client.call("GET", "/v1/kpis").status_code == 401


@pytest.mark.parametrize(
    "query",
    [
        {"by": "technician"},
        {"by": "day,day"},
        {"by": ""},
        {"from": "2026-11-25"},
        {"from": "2026-01-01"},
        {"format": "xml"},
    ],
)
def test_nonsense_is_refused(asked: Asked, query: dict[str, str]) -> None:
    assert asked.client.call("GET", "/v1/kpis", key=asked.key, query=RANGE | query).status_code == 422
