"""The local gazetteer: names of places and where they are, for addresses without a geocoder on the net.

A name is kept with the street that it lies in, and streets are found by their words: a million addresses have some ten
thousand streets, so that a misspelt or shortened one is found without reading them all. Everything is by index, on
SQLite and PostgreSQL alike, which is why text that is searched by its beginning is ordered by its bytes.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Index, String, Table, func
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, Session, SQLModel, col, select

from dispatch import geocoders
from dispatch.addresses import GENERIC, Address, edits, folded, is_distinctive, most_edits, short_forms
from dispatch.columns import enum_type
from dispatch.errors import AddressAmbiguous, AddressNotFound
from dispatch.ids import new_id
from dispatch.places import Candidate, Place, PlaceKind, is_near
from dispatch.settings import Settings

__all__ = [
    "Candidate",
    "GazetteerEntry",
    "NewPlace",
    "Wanted",
    "add_places",
    "candidates",
    "folded",
    "located",
]

MOST_CANDIDATES = 10
LONGEST_KEY = 500
DOUBT = (
    "No place is known for certain at this address; send a candidate, or its lat and lon with your address."
)
SAME_PLACE_M = 10
"""Entries and hits of one address that are no further apart are one place."""

_MOST_SAME = 100
_MOST_ROADS = 50
_MOST_WORDS = 12
_MOST_TERMS = 6
_MOST_SPELLINGS = 8
_MOST_READ = 20_000
"""Streets with the rarest word of what was asked that are looked through for its other words."""


def _by_bytes(length: int) -> Any:
    return String(length).with_variant(String(length, collation="C"), "postgresql")


class GazetteerEntry(SQLModel, table=True):
    """key: the name folded for comparison; a name may occur more than once, at different places. road_no and number:
    its street and house number, where the name has them."""

    __tablename__ = "gazetteer_entry"
    __table_args__ = (
        Index("ix_gazetteer_entry_key", "key", "lat", "lon", unique=True),
        Index("ix_gazetteer_entry_road_no", "road_no", "number"),
        Index("ix_gazetteer_entry_zip_code", "zip_code", "kind"),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    key: str = Field(sa_type=_by_bytes(LONGEST_KEY))
    name: str = Field(max_length=500)
    lat: float
    lon: float
    kind: PlaceKind = Field(default=PlaceKind.PLACE, sa_type=enum_type(PlaceKind))
    zip_code: str | None = Field(default=None, max_length=20)
    road_no: int | None = Field(default=None, foreign_key="gazetteer_road.no")
    number: int | None = None
    created_at: datetime


class GazetteerRoad(SQLModel, table=True):
    """A street, or whatever a name says beside its house number and ZIP code, folded."""

    __tablename__ = "gazetteer_road"

    no: int | None = Field(default=None, primary_key=True)
    name: str = Field(sa_type=_by_bytes(LONGEST_KEY), unique=True)


class GazetteerWord(SQLModel, table=True):
    """A word of streets. backwards: for those whose beginning is misspelt. roads: how many have it."""

    __tablename__ = "gazetteer_word"

    word: str = Field(sa_type=_by_bytes(LONGEST_KEY), primary_key=True)
    backwards: str = Field(sa_type=_by_bytes(LONGEST_KEY), index=True)
    roads: int


class GazetteerRoadWord(SQLModel, table=True):
    """That a street has a word."""

    __tablename__ = "gazetteer_road_word"
    __table_args__ = ({"sqlite_with_rowid": False},)

    word: str = Field(sa_type=_by_bytes(LONGEST_KEY), primary_key=True)
    road_no: int = Field(primary_key=True, foreign_key="gazetteer_road.no")


class Wanted(Protocol):
    """A place as a caller gives it: degrees with or without an address, or an address alone."""

    @property
    def lat(self) -> float | None: ...
    @property
    def lon(self) -> float | None: ...
    @property
    def address(self) -> str | None: ...


def located(session: Session, settings: Settings, wanted: Wanted, field: str = "place") -> Place:
    """Where that is. Degrees are taken as they are; an address alone is looked up, and taken only if it means one
    place for certain. `field` names it in errors. Raises `AddressNotFound`, `AddressAmbiguous` with candidates, and
    `Unavailable` where a geocoder on the net is away."""
    if wanted.lat is not None and wanted.lon is not None:
        return Place(wanted.lat, wanted.lon, wanted.address)
    found = candidates(session, settings, wanted.address or "")
    if not found:
        raise AddressNotFound(field=f"{field}.address")
    if len(found) > 1 or not found[0].is_exact:
        doubt = None if found[0].is_exact else DOUBT
        raise AddressAmbiguous(
            field=f"{field}.address",
            detail=doubt,
            candidates=[{"address": c.address, "lat": c.lat, "lon": c.lon} for c in found],
        )
    return Place(found[0].lat, found[0].lon, wanted.address)


def candidates(session: Session, settings: Settings, address: str) -> list[Candidate]:
    """What the configured geocoder knows of an address, best first, ten at most; none is guessed. Raises `Unavailable`
    where a geocoder on the net is away."""
    if settings.geocoder == "gazetteer":
        return _in_gazetteer(session, Address.of(address))
    if not folded(address):
        return []
    return _apart(geocoders.hits(settings.geocoder, address))[:MOST_CANDIDATES]


def _apart(found: Iterable[Candidate]) -> list[Candidate]:
    """Of those that are the same place the first, an exact one if there is any."""
    kept: list[Candidate] = []
    for candidate in sorted(found, key=lambda one: not one.is_exact):
        if not any(is_near(candidate, other, SAME_PLACE_M) for other in kept):
            kept.append(candidate)
    return kept


# Looking up


def _in_gazetteer(session: Session, wanted: Address) -> list[Candidate]:
    if not wanted.key:
        return []
    exact = [] if wanted.is_zip_alone else _exact(session, wanted)
    if exact:
        return _apart(_candidate(entry, is_exact=True) for entry in exact)[:MOST_CANDIDATES]
    areas = _areas(session, wanted.zip_code) if wanted.zip_code else []
    similar = _areas_or_places(session, wanted, areas) if wanted.is_zip_alone else _similar(session, wanted)
    if not similar and not areas and wanted.house:
        areas = _areas(session, wanted.house)  # 10016 Manhattan: a ZIP code may lead
    ordered = [entry for entry in similar if entry.kind is not PlaceKind.AREA][: MOST_CANDIDATES - len(areas)]
    ordered += areas + [entry for entry in similar if entry.kind is PlaceKind.AREA]
    unique = {entry.id: entry for entry in ordered}
    return [_candidate(entry, is_exact=False) for entry in unique.values()][:MOST_CANDIDATES]


def _candidate(entry: GazetteerEntry, *, is_exact: bool) -> Candidate:
    said = {
        PlaceKind.PLACE: entry.name,
        PlaceKind.STREET: f"{entry.name} (somewhere along the street)",
        PlaceKind.AREA: f"{entry.name} (the middle of this area)",
    }
    return Candidate(said[entry.kind], entry.lat, entry.lon, is_exact, entry.kind)


def _exact(session: Session, wanted: Address) -> list[GazetteerEntry]:
    """Entries of this very name, and those of this street, house number and ZIP code; never a street or an area."""
    same_name = col(GazetteerEntry.key) == wanted.key
    road_no = select(GazetteerRoad.no).where(GazetteerRoad.name == wanted.road).scalar_subquery()
    same_house = [col(GazetteerEntry.road_no) == road_no, col(GazetteerEntry.number) == wanted.number]
    if wanted.number is None:
        same_house[1] = col(GazetteerEntry.number).is_(None)
    if wanted.zip_code is not None:
        same_house.append(col(GazetteerEntry.zip_code) == wanted.zip_code)
    named = _entries(session, [same_name], by=GazetteerEntry.id, most=_MOST_SAME)
    numbered = _entries(session, same_house, by=GazetteerEntry.id, most=_MOST_SAME)
    housed = [entry for entry in numbered if Address.of(entry.name).house == wanted.house]
    found = {entry.id: entry for entry in (*named, *housed) if entry.kind is PlaceKind.PLACE}
    return list(found.values())


def _entries(
    session: Session, wanted: Iterable[ColumnElement[bool]], *, by: Any = None, most: int = MOST_CANDIDATES
) -> list[GazetteerEntry]:
    query = select(GazetteerEntry).where(*wanted)
    return list(session.exec((query if by is None else query.order_by(by)).limit(most)))


def _areas(session: Session, zip_code: str) -> list[GazetteerEntry]:
    return _entries(
        session, [col(GazetteerEntry.zip_code) == zip_code, col(GazetteerEntry.kind) == PlaceKind.AREA]
    )


def _areas_or_places(session: Session, wanted: Address, areas: list[GazetteerEntry]) -> list[GazetteerEntry]:
    """Of a ZIP code alone: its middle; where that is not known, what lies in it."""
    return areas or _entries(
        session, [col(GazetteerEntry.zip_code) == wanted.zip_code], by=GazetteerEntry.kind
    )


def _similar(session: Session, wanted: Address) -> list[GazetteerEntry]:
    """What begins with the address; else the house, or its neighbours, in the streets that come nearest."""
    longer = _entries(
        session, _beginning(GazetteerEntry.key, wanted.key), by=GazetteerEntry.key
    ) or _on_roads(session, wanted, _roads_beside(session, wanted.road))
    if longer:
        return longer
    found = _on_roads(session, wanted, _roads_by_words(session, wanted.road.split()))
    if found or wanted.house is None:
        return found
    # The number may have been the street's: 5 Avenue New York.
    words = [wanted.house, *wanted.road.split()]
    return _on_roads(session, Address(wanted.key, "", None, wanted.zip_code), _roads_by_words(session, words))


def _beginning(column: Any, text: str) -> list[ColumnElement[bool]]:
    """That the column begins with the text, as a range of an index in the order of bytes."""
    return [col(column) >= text, col(column) < text + "\U0010ffff"]


def _roads_beside(session: Session, road: str) -> list[int]:
    """The street of this name; else those that begin with it; else the longest with which it begins."""
    words = road.split()
    if not is_distinctive(words):
        return []
    longer = session.exec(
        select(GazetteerRoad)
        .where(*_beginning(GazetteerRoad.name, road))
        .order_by(GazetteerRoad.name)
        .limit(MOST_CANDIDATES)
    ).all()
    if longer:
        return _numbers(found for found in longer if longer[0].name != road or found.name == road)
    shorter = [" ".join(words[:n]) for n in range(1, len(words)) if is_distinctive(words[:n])]
    known = session.exec(select(GazetteerRoad).where(col(GazetteerRoad.name).in_(shorter))).all()
    return _numbers(sorted(known, key=lambda found: -len(found.name))[:1])


def _numbers(roads: Iterable[GazetteerRoad]) -> list[int]:
    return [road.no for road in roads if road.no is not None]


def _on_roads(session: Session, wanted: Address, roads: Sequence[int]) -> list[GazetteerEntry]:
    """The house in these streets, else its nearest neighbours: within the ZIP code, else anywhere."""
    if not roads:
        return []
    number = col(GazetteerEntry.number)
    for zip_code in dict.fromkeys((wanted.zip_code, None)):
        within = [col(GazetteerEntry.zip_code) == zip_code] if zip_code is not None else []
        found: list[GazetteerEntry] = []
        if wanted.number is not None:
            found = _entries(
                session, [col(GazetteerEntry.road_no).in_(roads), number == wanted.number, *within]
            )
        for road_no in roads if not found else ():
            on_road = [col(GazetteerEntry.road_no) == road_no, *within]
            found += _neighbours(session, on_road, wanted.number, max(2, MOST_CANDIDATES // len(roads)))
        if found:
            rank = {road_no: place for place, road_no in enumerate(roads)}
            return sorted(found, key=lambda entry: rank.get(entry.road_no or 0, len(rank)))[:MOST_CANDIDATES]
    return []


def _neighbours(
    session: Session, on_road: list[ColumnElement[bool]], wanted: int | None, most: int
) -> list[GazetteerEntry]:
    """Of one street, those whose numbers come nearest."""
    number = col(GazetteerEntry.number)
    if wanted is None:
        return _entries(session, on_road, by=number, most=most)
    above = _entries(session, [*on_road, number > wanted], by=number, most=most)
    below = _entries(session, [*on_road, number < wanted], by=number.desc(), most=most)
    numbered = sorted((*above, *below), key=lambda entry: abs((entry.number or 0) - wanted))[:most]
    return numbered or _entries(session, [*on_road, number.is_(None)], most=most)


# Streets by their words, whatever their order and spelling


def _roads_by_words(session: Session, words: Sequence[str]) -> list[int]:
    """Streets that have the words, at most one of them missing, best first. Numbers must be there, half of the words
    must be known, and one of these must tell one street from another."""
    if not words:
        return []
    words = words[:_MOST_WORDS]
    meant = {word: _meant(session, word, last=word == words[-1]) for word in words}
    if any(not term for word, term in meant.items() if _has_digit(word)):
        return []
    known = sorted((word for word in meant if meant[word]), key=lambda word: sum(meant[word].values()))
    if 2 * len(known) < len(meant):
        return []
    known = known[:_MOST_TERMS]
    found = _roads_with(session, [meant[word] for word in known])
    if not found and len(known) > 2:
        for left_out in (word for word in known if not _has_digit(word)):
            found += _roads_with(session, [meant[word] for word in known if word != left_out])
    unique = {road.no: road for road in found}
    return _numbers(sorted(unique.values(), key=lambda road: _unlikeness(words, road.name)))[:MOST_CANDIDATES]


def _has_digit(word: str) -> bool:
    return any(c.isdigit() for c in word)


def _unlikeness(words: Sequence[str], road: str) -> tuple[int, int, str]:
    """How many letters are between the words and the street's, at most four a word, then how many words it has."""
    own = road.split()
    wrong = sum(min(edits(word, other, 3) for other in own) for word in words if word not in own)
    return wrong, len(own), road


def _roads_with(session: Session, terms: Sequence[dict[str, int]]) -> list[GazetteerRoad]:
    """Streets that have a word of every term; the rarest term leads, of which `_MOST_READ` streets are read."""
    if not any(word not in GENERIC for term in terms for word in term):
        return []
    rarest = select(GazetteerRoadWord.road_no).where(col(GazetteerRoadWord.word).in_(terms[0]))
    leading = rarest.limit(_MOST_READ).subquery()
    query = select(GazetteerRoad).join(leading, leading.c.road_no == GazetteerRoad.no)
    for term in terms[1:]:
        other = select(GazetteerRoadWord.road_no).where(
            GazetteerRoadWord.road_no == leading.c.road_no, col(GazetteerRoadWord.word).in_(term)
        )
        query = query.where(other.exists())
    return list(session.exec(query.limit(_MOST_ROADS)))


def _meant(session: Session, word: str, *, last: bool) -> dict[str, int]:
    """The words of streets that this one may be, each with the number of its streets: itself; else what it abbreviates,
    its nearest spellings and, of the last word, how it may go on."""
    itself = _words(session, [col(GazetteerWord.word) == word])
    if itself:
        return itself
    found = _words(session, [col(GazetteerWord.word).in_(short_forms(word))])
    if last:
        found |= _words(session, _beginning(GazetteerWord.word, word))
    return found | _spellings(session, word)


def _words(
    session: Session, wanted: Iterable[ColumnElement[bool]], most: int | None = _MOST_SPELLINGS
) -> dict[str, int]:
    query = select(GazetteerWord.word, GazetteerWord.roads).where(*wanted).limit(most)
    return dict(session.exec(query).all())


def _spellings(session: Session, word: str) -> dict[str, int]:
    """Known words that are fewest edits away. An edit leaves one half of a word whole, or swaps two neighbours, so
    that one edit is always found, and two in the same half."""
    most = most_edits(word)
    if not most:
        return {}
    half = len(word) // 2
    as_long = func.length(GazetteerWord.word).between(len(word) - most, len(word) + most)
    swapped = [word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)]
    near = _words(session, [*_beginning(GazetteerWord.word, word[:half]), as_long], None)
    near |= _words(session, [*_beginning(GazetteerWord.backwards, word[half:][::-1]), as_long], None)
    near |= _words(session, [col(GazetteerWord.word).in_(swapped)])
    away = {other: edits(word, other, most) for other in near}
    fewest = min(away.values(), default=most + 1)
    nearest = [other for other in near if away[other] == fewest <= most]
    return {other: near[other] for other in sorted(nearest, key=lambda other: -near[other])[:_MOST_SPELLINGS]}


# Filling


@dataclass(frozen=True, slots=True)
class NewPlace:
    """A name and where it is. zip_code: if the name does not say it."""

    name: str
    lat: float
    lon: float
    zip_code: str | None = None
    kind: PlaceKind = PlaceKind.PLACE


def add_places(session: Session, places: Sequence[NewPlace], now: datetime) -> int:
    """Adds those whose name is not known yet at that very place, and says how many these are. A name that begins with
    its ZIP code is an area. Names that fold to nothing are passed over."""
    addresses = [Address.of(place.name) for place in places]
    known = _known(session, {address.key for address in addresses})
    new: dict[tuple[str, float, float], tuple[NewPlace, Address]] = {}
    for place, address in zip(places, addresses, strict=True):
        identity = (address.key, place.lat, place.lon)
        if address.key and identity not in known:
            new.setdefault(identity, (place, address))
    roads = _road_numbers(session, {address.road for _, address in new.values() if address.road})
    rows = [_row(place, address, roads, now) for place, address in new.values()]
    _insert(session, GazetteerEntry, rows)
    return len(rows)


def _known(session: Session, keys: Iterable[str]) -> set[tuple[str, float, float]]:
    query = select(GazetteerEntry.key, GazetteerEntry.lat, GazetteerEntry.lon)
    return {(key, lat, lon) for key, lat, lon in session.exec(query.where(col(GazetteerEntry.key).in_(keys)))}


def _row(place: NewPlace, address: Address, roads: dict[str, int], now: datetime) -> dict[str, Any]:
    leads = address.zip_code is not None and address.key.startswith(address.zip_code)
    return {
        "id": new_id(),
        "key": address.key,
        "name": place.name,
        "lat": place.lat,
        "lon": place.lon,
        "kind": PlaceKind.AREA if leads else place.kind,
        "zip_code": place.zip_code or address.zip_code,
        "road_no": roads.get(address.road),
        "number": address.number,
        "created_at": now,
    }


def _road_numbers(session: Session, names: Iterable[str]) -> dict[str, int]:
    """The numbers of these streets; those that are new are entered with their words."""
    wanted = set(names)
    before = _numbered(session, wanted)
    new = sorted(wanted - before.keys())
    _insert(session, GazetteerRoad, [{"name": name} for name in new])
    numbered = _numbered(session, new)
    words = [(word, no) for name, no in numbered.items() for word in sorted(set(name.split()))]
    counted = sorted(Counter(word for word, _ in words).items())
    _count(session, [{"word": word, "backwards": word[::-1], "roads": roads} for word, roads in counted])
    _insert(session, GazetteerRoadWord, [{"word": word, "road_no": no} for word, no in words])
    return before | numbered


def _numbered(session: Session, names: Iterable[str]) -> dict[str, int]:
    query = select(GazetteerRoad.name, GazetteerRoad.no).where(col(GazetteerRoad.name).in_(names))
    return {name: no for name, no in session.exec(query) if no is not None}


def _insert(session: Session, model: type[SQLModel], rows: list[dict[str, Any]]) -> None:
    """In bulk; what another import entered meanwhile stays as it is."""
    if rows:
        statement: Any = _inserting(session, model).on_conflict_do_nothing()
        session.connection().execute(statement, rows)


def _count(session: Session, rows: list[dict[str, Any]]) -> None:
    if rows:
        statement = _inserting(session, GazetteerWord)
        more = col(GazetteerWord.roads) + statement.excluded.roads
        counted = statement.on_conflict_do_update(index_elements=["word"], set_={"roads": more})
        session.connection().execute(counted, rows)


def _inserting(session: Session, model: type[SQLModel]) -> Any:
    table: Table = model.__table__  # type: ignore[attr-defined]
    on_postgresql = session.connection().dialect.name == "postgresql"
    return postgresql.insert(table) if on_postgresql else sqlite.insert(table)
