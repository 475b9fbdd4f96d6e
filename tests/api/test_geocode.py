"""Looking up addresses over HTTP."""

from typing import Any

import pytest
from geopy.exc import GeocoderUnavailable
from geopy.geocoders import SERVICE_TO_GEOCODER
from geopy.geocoders.base import Geocoder
from sqlmodel import Session

from api.app import create_app
from dispatch.gazetteer import NewPlace, add_places
from dispatch.places import PlaceKind
from dispatch.settings import Settings
from tests.api.test_service_requests import body
from tests.support.acme import Acme
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

AT = {"lat": 40.7484, "lon": -73.9857}
PLACES = [
    NewPlace("350 5 Avenue, New York", 40.7484, -73.9857, "10118"),
    NewPlace("352 5 Avenue, New York", 40.7485, -73.9857, "10118"),
    NewPlace("10016, Manhattan, New York", 40.745, -73.978, kind=PlaceKind.AREA),
]


@pytest.fixture
def known(session: Session, clock: FakeClock) -> None:
    """The places are in the gazetteer."""
    add_places(session, PLACES, clock.now())
    session.commit()


@pytest.mark.usefixtures("known")
def test_anyone_may_ask_where_an_address_is(client: ApiClient) -> None:
    found = client.read("/v1/geocode", q="350 Fifth Ave, New York")

    assert found == {
        "items": [
            {
                "address": "350 5 Avenue, New York",
                "lat": 40.7484,
                "lon": -73.9857,
                "exact": True,
                "kind": "place",
            }
        ]
    }


@pytest.mark.usefixtures("known")
def test_what_is_being_typed_is_answered_with_candidates(client: ApiClient) -> None:
    found = client.read("/v1/geocode", q="35")

    assert [(item["address"], item["exact"]) for item in found["items"]] == [
        ("350 5 Avenue, New York", False),
        ("352 5 Avenue, New York", False),
    ]


@pytest.mark.usefixtures("known")
def test_a_zip_code_is_an_area_that_says_so(client: ApiClient) -> None:
    [area] = client.read("/v1/geocode", q="10016")["items"]

    assert area == {
        "address": "10016, Manhattan, New York (the middle of this area)",
        "lat": 40.745,
        "lon": -73.978,
        "exact": False,
        "kind": "area",
    }


def test_nothing_known_is_an_empty_list(client: ApiClient) -> None:
    assert client.read("/v1/geocode", q="Atlantis") == {"items": []}


@pytest.mark.parametrize(
    "query",
    [{}, {"q": ""}, {"q": "   "}, {"q": "\u200b"}, {"q": "x\0"}, {"q": "x" * 201}, {"q": "x", "limit": "3"}],
)
def test_a_blank_or_impossible_query_is_refused(client: ApiClient, query: dict[str, Any]) -> None:
    response = client.call("GET", "/v1/geocode", query=query)

    problem = response.get_json(force=True)
    assert (response.status_code, response.mimetype) == (422, "application/problem+json")
    assert problem["errors"][0]["field"] == ("limit" if "limit" in query else "q")


@pytest.mark.usefixtures("known")
def test_a_doubtful_place_of_a_request_is_asked_back_and_a_candidate_is_accepted(
    client: ApiClient, acme: Acme
) -> None:
    doubtful = client.call("POST", "/v1/service-requests", body(acme, place={"address": "351 5th Avenue"}))
    problem = doubtful.get_json(force=True)
    chosen = client.create("/v1/service-requests", body(acme, place=problem["candidates"][0]))

    assert (doubtful.status_code, problem["code"]) == (422, "address_ambiguous")
    assert problem["errors"][0]["field"] == "place.address"
    assert {c["address"] for c in problem["candidates"]} == {place.name for place in PLACES[:2]}
    assert chosen["service_request"]["place"] == problem["candidates"][0]


def test_an_unknown_place_of_a_request_is_not_guessed(client: ApiClient, acme: Acme) -> None:
    response = client.call("POST", "/v1/service-requests", body(acme, place={"address": "Atlantis"}))

    problem = response.get_json(force=True)
    assert (response.status_code, problem["code"]) == (422, "address_not_found")


def test_a_geocoder_that_is_away_is_503_and_degrees_still_serve(
    settings: Settings, clock: FakeClock, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(Geocoder):  # type: ignore[misc]
        def geocode(self, query: str, *, exactly_one: bool = True, timeout: Any = None) -> Any:
            raise GeocoderUnavailable("no route to host")

    monkeypatch.setitem(SERVICE_TO_GEOCODER, "away", Away)
    app = create_app(settings.model_copy(update={"geocoder": "away"}), clock=clock)
    client = app.test_client()

    answers = [
        client.get("/v1/geocode?q=350+5th+Ave"),
        client.post("/v1/service-requests", json=body(acme, place={"address": "350 5th Ave"})),
        client.post("/v1/service-requests", json=body(acme, place={"address": "350 5th Ave", **AT})),
    ]

    assert [answer.status_code for answer in answers] == [503, 503, 201]
    assert [answer.get_json(force=True)["code"] for answer in answers[:2]] == ["geocoder_away"] * 2
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers[:2])


def test_who_asks_too_often_is_told_when_to_come_back(settings: Settings) -> None:
    client = create_app(settings.model_copy(update={"rate_limits": True})).test_client()

    answers = [client.get("/v1/geocode?q=x") for _ in range(121)]

    assert [answer.status_code for answer in answers[-2:]] == [200, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_the_document_shows_what_is_asked_and_answered(client: ApiClient) -> None:
    document = client.read("/openapi.json")

    operation = document["paths"]["/v1/geocode"]["get"]
    [q] = [parameter for parameter in operation["parameters"] if parameter["name"] == "q"]
    shown = document["components"]["schemas"]["CandidateOut"]["examples"][0]
    assert q["required"]
    assert q["schema"]["examples"] == ["350 5th Ave"]
    assert set(shown) == {"address", "lat", "lon", "exact", "kind"}
