"""The address that a customer types: where it is, and asked back where it may mean more than one place."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from api import context
from api.pages.visitor import typed
from api.schemas import Place as PlaceIn
from dispatch.errors import AddressAmbiguous, Invalid, Unavailable
from dispatch.gazetteer import located
from dispatch.places import Place

Candidates = Sequence[Mapping[str, Any]]


def place_of_address(address: str, candidate: str) -> Place:
    """Where the address is; where it is doubtful, the candidate that the customer chose. Raises what `located` does."""
    try:
        return located(context.session(), context.settings(), PlaceIn(address=address))
    except AddressAmbiguous as doubtful:
        for each in doubtful.extra["candidates"]:
            if candidate == _value(each):
                return Place(each["lat"], each["lon"], each["address"])
        raise


def candidates_again() -> Candidates:
    """Of the address in a form that asked it back, to be asked back in another language. What else is wrong with it is
    said when the form is sent to be taken."""
    if not typed("doubtful"):
        return ()
    try:
        place_of_address(typed("address"), "")
    except AddressAmbiguous as doubtful:
        return cast(Candidates, doubtful.extra["candidates"])
    except (Invalid, Unavailable, ValidationError):
        return ()
    return ()


def candidate_choices(candidates: Candidates) -> list[tuple[str, str, str | None]]:
    """Of each, its value in the form, its address, and where it is if others have the same address."""
    names = Counter(candidate["address"] for candidate in candidates)
    return [
        (
            _value(candidate),
            candidate["address"],
            f"{candidate['lat']:.4f}, {candidate['lon']:.4f}" if names[candidate["address"]] > 1 else None,
        )
        for candidate in candidates
    ]


def _value(candidate: Mapping[str, Any]) -> str:
    return f"{candidate['lat']},{candidate['lon']}"
