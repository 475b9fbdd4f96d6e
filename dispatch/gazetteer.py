"""The local gazetteer: names of places and where they are, for addresses without a geocoder on the net."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from geopy.exc import GeopyError
from geopy.geocoders import get_geocoder_for_service
from sqlmodel import Field, Session, SQLModel, col, select

from dispatch.errors import AddressAmbiguous, AddressNotFound, Unavailable
from dispatch.ids import new_id
from dispatch.places import Place
from dispatch.settings import Settings

GEOCODER_TIMEOUT_S = 5
MOST_CANDIDATES = 10


class GazetteerEntry(SQLModel, table=True):
    """key: the name folded for comparison; a name may occur more than once."""

    __tablename__ = "gazetteer_entry"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    key: str = Field(index=True, max_length=500)
    name: str = Field(max_length=500)
    lat: float
    lon: float
    created_at: datetime


def folded(name: str) -> str:
    """Without case, accents, punctuation and double spaces."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    letters = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return " ".join(letters.split())


class Wanted(Protocol):
    """A place as a caller gives it: degrees with or without an address, or an address alone."""

    @property
    def lat(self) -> float | None: ...
    @property
    def lon(self) -> float | None: ...
    @property
    def address(self) -> str | None: ...


def located(session: Session, settings: Settings, wanted: Wanted, field: str = "place") -> Place:
    """Where that is. Degrees are taken as they are; an address alone is looked up. `field` names it in errors. Raises
    `AddressNotFound`, `AddressAmbiguous` with candidates, and `Unavailable` where a geocoder on the net is away."""
    if wanted.lat is not None and wanted.lon is not None:
        return Place(wanted.lat, wanted.lon, wanted.address)
    found = candidates(session, settings, wanted.address or "")
    if not found:
        raise AddressNotFound(field=f"{field}.address")
    if len(found) > 1 or not found[0].is_exact:
        raise AddressAmbiguous(
            field=f"{field}.address",
            candidates=[{"address": c.address, "lat": c.lat, "lon": c.lon} for c in found],
        )
    return Place(found[0].lat, found[0].lon, wanted.address)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place that an address may mean. is_exact: it has this very address, not merely one that begins with it."""

    address: str
    lat: float
    lon: float
    is_exact: bool


def candidates(session: Session, settings: Settings, address: str) -> list[Candidate]:
    """What the configured geocoder knows of an address, ten at most; none is guessed."""
    if settings.geocoder == "gazetteer":
        return _in_gazetteer(session, folded(address))
    return _on_the_net(settings.geocoder, address)


def _in_gazetteer(session: Session, key: str) -> list[Candidate]:
    if not key:
        return []
    same = select(GazetteerEntry).where(GazetteerEntry.key == key).order_by(col(GazetteerEntry.id))
    exact = session.exec(same.limit(MOST_CANDIDATES)).all()
    if exact:
        return [Candidate(entry.name, entry.lat, entry.lon, is_exact=True) for entry in exact]
    longer = select(GazetteerEntry).where(col(GazetteerEntry.key).startswith(key, autoescape=True))
    similar = session.exec(longer.order_by(col(GazetteerEntry.key)).limit(MOST_CANDIDATES)).all()
    return [Candidate(entry.name, entry.lat, entry.lon, is_exact=False) for entry in similar]


def _on_the_net(service: str, address: str) -> list[Candidate]:
    try:
        geocoder = get_geocoder_for_service(service)(
            user_agent="freelance-dispatch", timeout=GEOCODER_TIMEOUT_S
        )
        found = geocoder.geocode(address, exactly_one=False) or []
    except GeopyError as error:
        raise Unavailable("geocoder_away", "The geocoder does not answer; send lat and lon.") from error
    return [
        Candidate(place.address, place.latitude, place.longitude, is_exact=True)
        for place in found[:MOST_CANDIDATES]
    ]
