"""Geocoders on the net, through geopy. What they answer is judged by its words: they guess, we ask back."""

from typing import Any

from geopy.exc import GeocoderRateLimited, GeopyError
from geopy.geocoders import get_geocoder_for_service
from geopy.geocoders.base import Geocoder

from dispatch.addresses import Address, folded
from dispatch.errors import Unavailable
from dispatch.places import Candidate

TIMEOUT_S = 5
USER_AGENT = "freelance-dispatch"

_CODES = (
    "al ak az ar ca co ct dc de fl ga hi ia id il in ks ky la ma md me mi mn mo ms mt nc nd ne nh nj nm nv ny oh ok or "
    "pa ri sc sd tn tx ut va vt wa wi wv wy us usa"
)
_STATES = frozenset(_CODES.split())
"""Codes of the United States, which geocoders spell out."""


def geocoder_of(service: str) -> Geocoder:
    """geopy's geocoder of that name. Raises `GeocoderNotFound`; `ConfigurationError` or `TypeError` where it needs a
    key."""
    return get_geocoder_for_service(service)(user_agent=USER_AGENT, timeout=TIMEOUT_S)


def hits(service: str, address: str) -> list[Candidate]:
    """What the service knows of an address, best first. Raises `Unavailable` for whatever hinders it."""
    try:
        found = geocoder_of(service).geocode(address, exactly_one=False) or []
    except GeopyError as error:
        raise _away(error) from error
    wanted = Address.of(address)
    return [
        Candidate(hit.address or address, hit.latitude, hit.longitude, is_exact=_is_exact(wanted, hit))
        for hit in found
    ]


def _is_exact(wanted: Address, hit: Any) -> bool:
    """Whether the hit bears the house number, the ZIP code and every word that was asked for. A street, a city or a
    ZIP code that was asked for has a middle, which is nobody's door; what the service corrected or left out is its
    guess."""
    if wanted.house is None or (isinstance(hit.raw, dict) and hit.raw.get("partial_match")):
        return False
    asked = set(wanted.key.split()) - _STATES
    return asked <= set(folded(hit.address or "").split())


def _away(error: GeopyError) -> Unavailable:
    wait_s = error.retry_after if isinstance(error, GeocoderRateLimited) else None
    return Unavailable(
        "geocoder_away",
        "The geocoder does not answer; send lat and lon.",
        retry_after_s=int(wait_s) + 1 if wait_s else 5,
    )
