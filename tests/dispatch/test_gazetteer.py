"""Looking up addresses: an address that is certain is taken, any doubt is asked back with candidates."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from geopy.exc import GeocoderRateLimited, GeocoderTimedOut
from geopy.geocoders import SERVICE_TO_GEOCODER
from geopy.geocoders.base import Geocoder
from geopy.location import Location
from hypothesis import HealthCheck, given
from hypothesis import settings as properties
from hypothesis import strategies as st
from sqlalchemy import Engine, event
from sqlmodel import Session, func, select

from dispatch import database
from dispatch.addresses import Address, folded
from dispatch.errors import AddressAmbiguous, AddressNotFound, Unavailable
from dispatch.gazetteer import GazetteerEntry, NewPlace, add_places, candidates, located
from dispatch.places import Place, PlaceKind
from dispatch.settings import Settings
from tests.support.clock import FakeClock

NOW = FakeClock().now()

TOWN = [
    *(
        NewPlace(f"{n} 5 Avenue, New York, NY 10118", 40.7484 + n / 1e5, -73.9857)
        for n in (348, 350, 352, 400)
    ),
    NewPlace("1 Main Street, Albany", 42.65, -73.75, "12207"),
    NewPlace("1 Main Street, Troy", 42.73, -73.69, "12180"),
    NewPlace("3 Main Street, Troy", 42.74, -73.69, "12180"),
    NewPlace("20 Broadway, Troy", 42.731, -73.68, "12180"),
    NewPlace("12 West 36 Street, New York", 40.75, -73.985, "10018"),
    NewPlace("12 East 36 Street, New York", 40.749, -73.982, "10016"),
    NewPlace("City Hall, New York", 40.7127, -74.0059, "10007"),
    NewPlace("Broadway, Troy", 42.73, -73.68, "12180", PlaceKind.STREET),
    NewPlace("10016, Manhattan, New York", 40.745, -73.978, "10016", PlaceKind.AREA),
]
"""A few streets. Numbers on 5 Avenue grow by about a metre each to the north."""

TYPED = "1|12|350|main|st|36|5th|ave|w|west|troy|albany|new|york|ny|brodway|city hall|10016|12180|10118|%|_|,"
"""What a customer's address may be made of."""


@dataclass(frozen=True)
class Typed:
    """An address as a customer types it."""

    address: str | None
    lat: float | None = None
    lon: float | None = None


@pytest.fixture
def town(session: Session) -> Session:
    add_places(session, TOWN, NOW)
    session.commit()
    return session


def asked_back(session: Session, settings: Settings, text: str) -> list[str]:
    """The addresses of the candidates with which a doubtful address is asked back."""
    with pytest.raises(AddressAmbiguous) as raised:
        located(session, settings, Typed(text))
    return [candidate["address"] for candidate in raised.value.extra["candidates"]]


# What is certain


@pytest.mark.parametrize(
    "text",
    [
        "350 5 Avenue, New York, NY 10118",
        "350 5th Ave, New York, NY",
        "350 FIFTH AVENUE new york ny 10118-0110",
        "350 5th Ave., Apt 4B, New York, N.Y. 10118",
    ],
)
def test_an_address_in_another_spelling_is_taken_as_it_was_typed(
    town: Session, settings: Settings, text: str
) -> None:
    found = located(town, settings, Typed(text))

    assert found == Place(TOWN[1].lat, TOWN[1].lon, text)


@pytest.mark.parametrize("entry", [place for place in TOWN if place.kind is PlaceKind.PLACE])
def test_every_place_is_found_by_its_name(town: Session, settings: Settings, entry: NewPlace) -> None:
    found = located(town, settings, Typed(entry.name.upper()))

    assert (found.lat, found.lon) == (entry.lat, entry.lon)


def test_degrees_are_taken_without_looking_up(town: Session, settings: Settings) -> None:
    found = located(town, settings, Typed("Atlantis", 1.0, 2.0))

    assert found == Place(1.0, 2.0, "Atlantis")


def test_entries_of_one_address_at_one_place_are_one(session: Session, settings: Settings) -> None:
    add_places(session, [NewPlace("1 Elm St", 42.0, -73.0), NewPlace("1 Elm Street", 42.00005, -73.0)], NOW)

    found = located(session, settings, Typed("1 Elm Street"))

    assert (found.lat, found.lon) == (42.0, -73.0)


# What is doubtful


def test_an_address_at_several_places_is_asked_back(session: Session, settings: Settings) -> None:
    add_places(
        session, [NewPlace("1 Elm St", 42.0, -73.0), NewPlace("1 Elm Street", 42.1, -73.0, "12180")], NOW
    )

    assert sorted(asked_back(session, settings, "1 elm st")) == ["1 Elm St", "1 Elm Street"]


def test_a_zip_code_at_the_end_chooses_among_them(session: Session, settings: Settings) -> None:
    add_places(
        session,
        [NewPlace("1 Elm Street", 42.0, -73.0, "12207"), NewPlace("1 Elm Street", 42.1, -73.0, "12180")],
        NOW,
    )

    assert located(session, settings, Typed("1 Elm Street 12180")).lat == 42.1
    assert asked_back(session, settings, "1 Elm Street 10001") == ["1 Elm Street", "1 Elm Street"]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("350 5th Ave", "350 5 Avenue, New York, NY 10118"),
        ("350 5th Ave, New York, NY, USA", "350 5 Avenue, New York, NY 10118"),
        ("1 Main Street 12180", "1 Main Street, Troy"),
        ("1 Main Street, Troy, 12207", "1 Main Street, Troy"),
        ("20 Brodway, Troy", "20 Broadway, Troy"),
        ("20 Braodway Troy", "20 Broadway, Troy"),
        ("20 Troy Broadway", "20 Broadway, Troy"),
        ("20 Broadway Avanue, Troy", "20 Broadway, Troy"),
        ("350 5 Avanue, New York", "350 5 Avenue, New York, NY 10118"),
        ("City Hal, New York", "City Hall, New York"),
        ("Ctiy Hall", "City Hall, New York"),
    ],
)
def test_an_address_that_is_nearly_known_is_asked_back(
    town: Session, settings: Settings, text: str, first: str
) -> None:
    assert asked_back(town, settings, text)[0] == first


def test_an_unknown_house_in_a_known_street_is_asked_back_with_its_neighbours(
    town: Session, settings: Settings
) -> None:
    found = asked_back(town, settings, "351 5th Avenue, New York, NY 10118")

    assert [name.split()[0] for name in found[:3]] in (["350", "352", "348"], ["352", "350", "348"])


@pytest.mark.parametrize("text", ["5th Avenue", "Fifth Avenue, New York"])
def test_a_street_without_a_house_number_is_asked_back_with_its_houses(
    town: Session, settings: Settings, text: str
) -> None:
    assert [name.split()[0] for name in asked_back(town, settings, text)] == ["348", "350", "352", "400"]


def test_the_other_side_of_town_is_no_candidate(town: Session, settings: Settings) -> None:
    assert asked_back(town, settings, "12 W 36th") == ["12 West 36 Street, New York"]


@pytest.mark.parametrize("text", ["12 West 38 Street, New York", "12 West 5 Street, New York"])
def test_another_numbered_street_is_no_candidate(town: Session, settings: Settings, text: str) -> None:
    assert candidates(town, settings, text) == []


def test_the_zip_code_narrows_candidates(town: Session, settings: Settings) -> None:
    assert asked_back(town, settings, "Main Street 12180") == ["1 Main Street, Troy", "3 Main Street, Troy"]


def test_a_street_known_by_its_middle_alone_is_asked_back_as_such(town: Session, settings: Settings) -> None:
    assert "Broadway, Troy (somewhere along the street)" in asked_back(town, settings, "Broadway, Troy")


# ZIP codes


@pytest.mark.parametrize(
    "text",
    [
        "10016",
        "10016-2207",
        "10016 Manhattan",
        "10016, Manhattan, New York",
        "99 Nowhere Lane, New York, NY 10016",
    ],
)
def test_a_zip_code_is_asked_back_as_the_middle_of_its_area(
    town: Session, settings: Settings, text: str
) -> None:
    [area] = [found for found in candidates(town, settings, text) if found.kind is PlaceKind.AREA]

    assert area.address == "10016, Manhattan, New York (the middle of this area)"
    assert area.address in asked_back(town, settings, text)


def test_an_entry_whose_name_begins_with_its_zip_code_is_an_area(
    session: Session, settings: Settings
) -> None:
    add_places(session, [NewPlace("11211", 40.71, -73.95), NewPlace("11212, Brooklyn", 40.66, -73.91)], NOW)

    kinds = [candidates(session, settings, text)[0].kind for text in ("11211", "11212")]

    assert kinds == [PlaceKind.AREA, PlaceKind.AREA]


def test_a_zip_code_without_an_area_is_asked_back_with_what_lies_in_it(
    town: Session, settings: Settings
) -> None:
    assert asked_back(town, settings, "10007") == ["City Hall, New York"]


# What is not known


@pytest.mark.parametrize(
    "text", ["Atlantis", "Nowhere 1", "12 Xylophone Plains", "...", "Street", "99999", "Apt 4"]
)
def test_what_resembles_nothing_is_not_found(town: Session, settings: Settings, text: str) -> None:
    with pytest.raises(AddressNotFound):
        located(town, settings, Typed(text))


@properties(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(TYPED.split("|"))).map(" ".join)))
def test_only_the_very_address_is_ever_taken(town: Session, settings: Settings, text: str) -> None:
    found = candidates(town, settings, text)

    wanted = Address.of(text)
    assert len(found) <= 10
    for taken in (one for one in found if one.is_exact):
        has = Address.of(taken.address)
        assert taken.kind is PlaceKind.PLACE
        assert wanted.key == has.key or (wanted.road, wanted.house) == (has.road, has.house)
        assert len({one.is_exact for one in found}) == 1


@st.composite
def misspelt(draw: st.DrawFn) -> tuple[str, str]:
    """A place's name, and the same with one letter of one word wrong, missing, too many or swapped with the next."""
    name = draw(st.sampled_from([place.name for place in TOWN if place.kind is PlaceKind.PLACE]))
    words = name.replace(",", " ,").split()
    at = draw(st.sampled_from([i for i, word in enumerate(words) if len(word) >= 4 and word.isalpha()]))
    word = words[at]
    i, letter = draw(st.integers(0, len(word) - 2)), draw(st.sampled_from("aeiouxz"))
    wrong = [word[:i] + letter + word[i + 1 :], word[:i] + word[i + 1 :], word[:i] + letter + word[i:]]
    swapped = word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    words[at] = draw(st.sampled_from([*wrong, swapped]))
    return name, " ".join(words)


@properties(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(misspelt())
def test_a_place_with_one_letter_wrong_is_always_among_the_candidates(
    town: Session, settings: Settings, typed: tuple[str, str]
) -> None:
    name, text = typed

    found = candidates(town, settings, text)

    assert name in [candidate.address for candidate in found]
    assert folded(text) == folded(name) or not any(candidate.is_exact for candidate in found)


# By index


@pytest.mark.parametrize(
    "text",
    [
        "350 5 Avenue, New York, NY 10118",
        "350 5",
        "351 5th Avenue",
        "20 Brodway, Troy",
        "Ctiy Hall",
        "10016",
        "x y z",
    ],
)
def test_no_table_is_read_from_end_to_end(town: Session, settings: Settings, text: str) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    connection = town.connection()
    event.listen(connection, "before_cursor_execute", note)
    candidates(town, settings, text)
    event.remove(connection, "before_cursor_execute", note)

    on_sqlite = connection.dialect.name == "sqlite"
    if not on_sqlite:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # a few rows would be read whole
    explain = "EXPLAIN QUERY PLAN" if on_sqlite else "EXPLAIN"
    plans = [
        "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {statement}", parameters))
        for statement, parameters in asked
    ]
    assert plans
    assert [plan for plan in plans if re.search(r"SCAN gazetteer_|Seq Scan", plan)] == []


# Filling


def test_a_place_is_added_once_whatever_its_spelling(session: Session) -> None:
    first = add_places(session, TOWN, NOW)

    again = add_places(
        session, [*TOWN, NewPlace("1 MAIN ST, Albany", 42.65, -73.75), NewPlace("Elm", 1.0, 2.0)], NOW
    )

    assert (first, again) == (len(TOWN), 1)
    assert session.exec(select(func.count()).select_from(GazetteerEntry)).one() == len(TOWN) + 1


def test_one_name_at_two_places_is_two_entries(session: Session) -> None:
    assert add_places(session, [NewPlace("Elm", 1.0, 2.0), NewPlace("Elm", 1.0, 2.1)] * 2, NOW) == 2


def test_the_tables_go_down_and_up_with_places_in_them(database_url: str, engine: Engine) -> None:
    with database.transaction(engine) as session:
        add_places(session, TOWN, NOW)

    database.downgrade(database_url, "0002")
    with engine.connect() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM gazetteer_entry").scalar()
    database.upgrade(database_url)
    with database.transaction(engine) as session:
        again = add_places(session, TOWN, NOW)

    assert left == again == len(TOWN)


# Geocoders on the net


class FakeGeocoder(Geocoder):  # type: ignore[misc]
    """Answers what it is told to, as geopy's own geocoders do."""

    answer: Any = None

    def geocode(self, query: str, *, exactly_one: bool = True, timeout: Any = None) -> Any:
        assert not exactly_one
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer and [Location(address, (lat, lon), raw) for address, lat, lon, raw in self.answer]


@pytest.fixture
def on_the_net(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings that name the fake, whose `answer` the test sets."""
    monkeypatch.setitem(SERVICE_TO_GEOCODER, "fake", FakeGeocoder)
    monkeypatch.setattr(FakeGeocoder, "answer", None)
    return settings.model_copy(update={"geocoder": "fake"})


EMPIRE = "Empire State Building, 350, 5th Avenue, Manhattan, New York, 10118, United States"


@pytest.mark.parametrize(
    "text", ["350 Fifth Ave", "350 5th Avenue, Apt 2, Manhattan", "350 5 Av, New York, NY 10118"]
)
def test_a_hit_that_bears_all_that_was_asked_is_taken(
    session: Session, on_the_net: Settings, text: str
) -> None:
    FakeGeocoder.answer = [(EMPIRE, 40.7484, -73.9857, {})]

    assert located(session, on_the_net, Typed(text)) == Place(40.7484, -73.9857, text)


@pytest.mark.parametrize(
    ("text", "hit", "raw"),
    [
        ("351 5th Avenue", "5th Avenue, Manhattan, New York, 10118, United States", {}),
        ("350 6th Avenue", EMPIRE, {}),
        ("350 5th Avenue 10001", EMPIRE, {}),
        ("350 5th Avanue", EMPIRE, {}),
        ("5th Avenue, Manhattan", "5th Avenue, Manhattan, New York, 10118, United States", {}),
        ("10118", "10118, Manhattan, New York, United States", {}),
        ("Manhattan", "Manhattan, New York, United States", {}),
        ("350 5th Avenue", EMPIRE, {"partial_match": True}),
    ],
)
def test_a_hit_that_was_guessed_or_is_a_middle_is_asked_back(
    session: Session, on_the_net: Settings, text: str, hit: str, raw: dict[str, Any]
) -> None:
    FakeGeocoder.answer = [(hit, 40.7484, -73.9857, raw)]

    assert asked_back(session, on_the_net, text) == [hit]


def test_several_different_hits_are_asked_back(session: Session, on_the_net: Settings) -> None:
    FakeGeocoder.answer = [(EMPIRE, 40.7484, -73.9857, {}), ("350 5th Avenue, Brooklyn", 40.67, -73.98, {})]

    assert asked_back(session, on_the_net, "350 5th Avenue") == [EMPIRE, "350 5th Avenue, Brooklyn"]


def test_hits_within_a_few_metres_are_one(session: Session, on_the_net: Settings) -> None:
    FakeGeocoder.answer = [(EMPIRE, 40.7484, -73.9857, {}), (EMPIRE, 40.74843, -73.98573, {})]

    assert located(session, on_the_net, Typed("350 5th Avenue")).lat == 40.7484


def test_of_hits_at_one_place_the_one_that_was_asked_for_counts(
    session: Session, on_the_net: Settings
) -> None:
    FakeGeocoder.answer = [
        ("Observation deck, Manhattan", 40.7484, -73.9857, {}),
        (EMPIRE, 40.7484, -73.9857, {}),
    ]

    assert [found.address for found in candidates(session, on_the_net, "350 5th Avenue")] == [EMPIRE]


@pytest.mark.parametrize("nothing", [None, []])
def test_no_hit_is_not_found(session: Session, on_the_net: Settings, nothing: Any) -> None:
    FakeGeocoder.answer = nothing

    with pytest.raises(AddressNotFound):
        located(session, on_the_net, Typed("350 5th Avenue"))


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [(GeocoderTimedOut("too slow"), "5"), (GeocoderRateLimited("too many", retry_after=42), "43")],
)
def test_a_geocoder_that_fails_is_away(
    session: Session, on_the_net: Settings, error: Exception, retry_after: str
) -> None:
    FakeGeocoder.answer = error

    with pytest.raises(Unavailable, match="send lat and lon") as raised:
        located(session, on_the_net, Typed("350 5th Avenue"))

    assert raised.value.headers["Retry-After"] == retry_after
    assert located(session, on_the_net, Typed("350 5th Avenue", 1.0, 2.0)) == Place(
        1.0, 2.0, "350 5th Avenue"
    )
