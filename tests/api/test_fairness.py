"""`dispatch fairness`: a table for people, a document for programs."""

import json

import pytest
from click.testing import CliRunner

from api.cli import main
from dispatch.settings import Settings
from tests.support.acme import CUSTOMERS, Acme

RANGE = ("--from", "2027-03-01", "--to", "2027-03-07")


@pytest.fixture
def done(acme: Acme, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Acme:
    """Ada was asked twice, declined once, and did an hour's visit for 90 dollars, ten minutes late."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    for name, answered in (("Casey", "decline"), ("Dana", "accept")):
        registered = acme.request(name, CUSTOMERS)
        slot = acme.slots(registered, **{"from": "2027-03-03", "to": "2027-03-03"})["items"][0]
        visit = acme.book(registered, slot)["appointment"]
        offer = acme.offer(visit["id"], pay={"amount": 9000, "currency": "USD"})
        acme.client.act(
            f"/v1/offers/{offer['id']}/{answered}", {} if answered == "decline" else None, key=acme.ada_key
        )
    acme.clock.advance(hours=25)
    for status in ("en_route", "on_site"):
        acme.progress(visit["id"], status)
    acme.clock.advance(minutes=70)
    acme.progress(visit["id"], "completed")
    monkeypatch.setenv("DISPATCH_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("DISPATCH_DATA_DIR", str(settings.data_dir))
    return acme


def printed(*words: str) -> str:
    result = CliRunner().invoke(main, ("fairness", "--organization", "acme", *words))
    assert result.exit_code == 0, result.output
    return result.output


def test_programs_read_who_had_how_much(done: Acme) -> None:
    found = json.loads(printed("--json", *RANGE))

    [ada] = found["technicians"]
    assert (found["organization"], found["from"], found["to"]) == ("acme", "2027-03-01", "2027-03-07")
    assert (ada["technician_id"], ada["kind"], ada["visits"]) == (done.ada["id"], "freelancer", 1)
    assert (ada["visit_s"], ada["active_s"]) == (4200, 4200 + ada["travel_s"])
    assert ada["pay"] == {"amount": 9000, "currency": "USD"}
    assert ada["pay_per_active_hour"]["amount"] == round(9000 * 3600 / ada["active_s"])
    assert (ada["offers_received"], ada["offers_accepted"]) == (2, 1)
    assert found["gini"] == {"hours": 0, "pay": 0}
    assert [trade["trade"] for trade in found["trades"]] == ["plumbing"]
    assert found["trades"][0]["technicians"] == found["technicians"]


def test_people_read_the_same_in_a_table(done: Acme) -> None:
    table = printed(*RANGE)

    [row] = [line.split() for line in table.splitlines() if "Ada Lovelace" in line]
    [trade] = [line.split() for line in table.splitlines() if "plumbing" in line]
    assert row[2:] == ["1", "1.2", "0.1", "90.00", "71.19", "2", "1"]
    assert trade == ["plumbing", "1", "1.3", "90.00", "71.19", "2", "0.00", "0.00"]
    assert all(len(line) <= 80 for line in table.splitlines())


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "2027-01-01", "--to", "2027-12-31"), "92 days at most"),
        (("--from", "2027-03-07", "--to", "2027-03-01"), "must not be before from"),
        (("--from", "soon"), "soon"),
    ],
)
def test_a_range_that_cannot_be_told_is_wrong_usage(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("DISPATCH_DATABASE_URL", settings.database_url)

    result = CliRunner().invoke(main, ("fairness", "--organization", "acme", *words))

    assert result.exit_code == 2
    assert said in result.output
