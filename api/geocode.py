"""Geocoding: what an address may mean, so that it can be chosen before it is sent."""

from typing import Self

from flask import Response
from pydantic import ConfigDict, Field

from api import context
from api.auth import PUBLIC, allow
from api.openapi import resource
from api.render import answer
from api.schemas import Answer, Name, Query
from dispatch.gazetteer import candidates
from dispatch.places import Candidate, PlaceKind

geocode = resource("geocode", "What an address may mean.")

LIMIT = "120/minute"


class GeocodeQuery(Query):
    """What was typed: an address or its beginning, or a ZIP code."""

    q: Name = Field(examples=["350 5th Ave"])


class CandidateOut(Answer):
    """A place that the address may mean. exact: it is this very address, and an address that has one exact place is
    taken without asking back. kind: of a `street` and an `area` lat and lon are somewhere in the middle, which
    `address` says as well."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "address": "350 5 Avenue, New York, NY 10118",
                    "lat": 40.7484,
                    "lon": -73.9857,
                    "exact": True,
                    "kind": "place",
                }
            ]
        },
    )

    address: str
    lat: float
    lon: float
    exact: bool
    kind: PlaceKind

    @classmethod
    def of(cls, found: Candidate) -> Self:
        """Built from a candidate."""
        return cls(address=found.address, lat=found.lat, lon=found.lon, exact=found.is_exact, kind=found.kind)


class CandidatesOut(Answer):
    """Best first, ten at most; none where nothing is known."""

    items: list[CandidateOut]


@geocode.get("/geocode", summary="Look up an address", responses={200: CandidatesOut})
@allow(PUBLIC, limit=LIMIT)
def read_all(query: GeocodeQuery) -> Response:
    """`address`, `lat` and `lon` of an item are a place as every body takes it. A geocoder on the net that is away is
    503: send lat and lon."""
    found = candidates(context.session(), context.settings(), query.q)
    return answer(CandidatesOut(items=[CandidateOut.of(one) for one in found]))
