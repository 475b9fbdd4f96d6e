"""Everything that a caller may be told went wrong. The kind fixes the HTTP status, `code` is stable.

    DispatchError
    ├── BadRequest 400
    ├── Unauthenticated 401
    ├── Forbidden 403
    ├── NotFound 404
    ├── Conflict 409
    │   ├── InvalidState            current, allowed
    │   ├── SlotTaken               alternatives
    │   ├── AlreadyBooked
    │   ├── TooManyHolds
    │   ├── OfferTaken
    │   ├── NoLongerFits
    │   ├── InfeasibleOverride      violations
    │   ├── OffDuty
    │   └── IdempotencyInFlight
    ├── Gone 410
    │   ├── SlotExpired
    │   ├── OfferExpired
    │   └── AnswerOutdated
    ├── StaleVersion 412
    ├── TooLarge 413
    ├── UnsupportedMediaType 415
    ├── Invalid 422                 errors
    │   ├── UnknownReference
    │   ├── InvalidSlot
    │   ├── OutsideTerritories
    │   ├── AddressNotFound
    │   ├── AddressAmbiguous        candidates
    │   ├── ForbiddenUrl
    │   └── IdempotencyKeyReused
    ├── PreconditionRequired 428
    ├── TooManyRequests 429
    └── Unavailable 503

Raise the narrowest kind. A rule with a code of its own that needs no class passes it first:
`Conflict("territory_overlap", "It overlaps Queens.", territory_id=...)`. Keyword arguments beyond those named
become members of the answer.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar


class DispatchError(Exception):
    """`status` is HTTP's, `title` says the kind, `detail` what happened here, `extra` joins the answer."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "The server failed"
    default_code: ClassVar[str] = "internal_error"
    default_detail: ClassVar[str] = "Something failed on our side."

    def __init__(
        self,
        code: str | None = None,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        self.detail = detail or self.default_detail
        self.code = code or self.default_code
        self.headers = dict(headers or {})
        self.extra = extra
        super().__init__(self.detail)


class BadRequest(DispatchError):
    status = 400
    title = "The request cannot be read"
    default_code = "bad_request"
    default_detail = "The body is not the JSON that its media type promises."


class Unauthenticated(DispatchError):
    status = 401
    title = "Who is calling?"
    default_code = "unauthenticated"
    default_detail = "Send a valid key as `Authorization: Bearer KEY`."

    def __init__(self, code: str | None = None, detail: str | None = None, **extra: Any) -> None:
        super().__init__(code, detail, headers={"WWW-Authenticate": 'Bearer realm="dispatch"'}, **extra)


class Forbidden(DispatchError):
    status = 403
    title = "This caller may not do that"
    default_code = "forbidden"
    default_detail = "The role of this key may not call this."


class NotFound(DispatchError):
    """Also of what exists and belongs to somebody else: the two cannot be told apart."""

    status = 404
    title = "Not found"
    default_code = "not_found"
    default_detail = "There is nothing here, or it is not yours."


class Conflict(DispatchError):
    status = 409
    title = "The state of things does not allow it"
    default_code = "conflict"
    default_detail = "Something else happened first."


class InvalidState(Conflict):
    """`current` is the state that stands, `allowed` the states from which it would go."""

    default_code = "invalid_state"

    def __init__(self, current: str, allowed: Iterable[str], detail: str | None = None, **extra: Any) -> None:
        allowed = list(allowed)
        said = detail or f"It is {current}; allowed: {', '.join(allowed) or 'nothing'}."
        super().__init__(detail=said, current=current, allowed=allowed, **extra)


class SlotTaken(Conflict):
    """`alternatives`: slots that stand, best first, in the form in which slots are listed."""

    default_code = "slot_taken"
    default_detail = "Another booking won this slot."

    def __init__(self, alternatives: Iterable[Any] = (), detail: str | None = None, **extra: Any) -> None:
        super().__init__(detail=detail, alternatives=list(alternatives), **extra)


class AlreadyBooked(Conflict):
    default_code = "already_booked"
    default_detail = "This request has a promised window already; reschedule it instead."


class TooManyHolds(Conflict):
    default_code = "too_many_holds"
    default_detail = "As many slots as allowed are on hold; release one first."


class OfferTaken(Conflict):
    default_code = "offer_taken"
    default_detail = "Somebody else accepted first."


class NoLongerFits(Conflict):
    default_code = "no_longer_fits"
    default_detail = "The calendar filled meanwhile; the visit fits no more."


class InfeasibleOverride(Conflict):
    """`violations`: reasons as everywhere, `[{code, detail, technicians?, appointment_id?, by?}]`."""

    default_code = "infeasible_override"
    default_detail = "The override breaks rules; send `force` to do it all the same."

    def __init__(self, violations: Iterable[Any], detail: str | None = None, **extra: Any) -> None:
        super().__init__(detail=detail, violations=list(violations), **extra)


class OffDuty(Conflict):
    default_code = "off_duty"
    default_detail = "Positions are neither taken nor stored off duty."


class IdempotencyInFlight(Conflict):
    default_code = "idempotency_in_flight"
    default_detail = "The first request with this Idempotency-Key is still running."


class Gone(DispatchError):
    status = 410
    title = "Too late"
    default_code = "gone"
    default_detail = "It is over."


class SlotExpired(Gone):
    default_code = "slot_expired"
    default_detail = "This slot was offered too long ago; ask for slots again."


class OfferExpired(Gone):
    default_code = "offer_expired"
    default_detail = "The time to answer this offer is over."


class AnswerOutdated(Gone):
    default_code = "answer_outdated"
    default_detail = "The visit has moved, or is over, since this was asked."


class StaleVersion(DispatchError):
    status = 412
    title = "It changed meanwhile"
    default_code = "stale_version"
    default_detail = "If-Match names an older version; read it again."


class TooLarge(DispatchError):
    status = 413
    title = "The body is too large"
    default_code = "too_large"
    default_detail = "The body is larger than this route takes."


class UnsupportedMediaType(DispatchError):
    status = 415
    title = "Another media type is needed"
    default_code = "unsupported_media_type"
    default_detail = "Send `Content-Type: application/json`."


class Invalid(DispatchError):
    """What was sent is refused. `errors` are pairs of a field's dotted path and a message."""

    status = 422
    title = "Refused as it stands"
    default_code = "invalid"
    default_detail = "Some fields are refused."
    default_field: ClassVar[str] = ""

    def __init__(
        self,
        code: str | None = None,
        detail: str | None = None,
        *,
        errors: Iterable[tuple[str, str]] | None = None,
        field: str | None = None,
        **extra: Any,
    ) -> None:
        said = detail or self.default_detail
        pairs = (
            [(field if field is not None else self.default_field, said)] if errors is None else list(errors)
        )
        rendered = [{"field": name, "message": message} for name, message in pairs]
        super().__init__(code, said, errors=rendered, **extra)


class UnknownReference(Invalid):
    """`field` holds an id that does not exist, or that is not the caller's: the two cannot be told apart."""

    default_code = "unknown_reference"

    def __init__(self, field: str, detail: str | None = None, **extra: Any) -> None:
        super().__init__(detail=detail or f"`{field}` refers to nothing that you have.", field=field, **extra)


class InvalidSlot(Invalid):
    default_code = "invalid_slot"
    default_detail = "This slot was not offered by us for this request."
    default_field = "slot_id"


class OutsideTerritories(Invalid):
    default_code = "outside_territories"
    default_detail = "The place lies in no territory of the organization."
    default_field = "place"


class AddressNotFound(Invalid):
    default_code = "address_not_found"
    default_detail = "No place is known at this address."
    default_field = "place.address"


class AddressAmbiguous(Invalid):
    """`candidates`: places that the address may mean, `[{lat, lon, address}]`."""

    default_code = "address_ambiguous"
    default_detail = "The address means several places; send one of the candidates."
    default_field = "place.address"

    def __init__(self, candidates: Iterable[Any], detail: str | None = None, **extra: Any) -> None:
        super().__init__(detail=detail, candidates=list(candidates), **extra)


class ForbiddenUrl(Invalid):
    default_code = "forbidden_url"
    default_detail = "Nothing is sent to this address."
    default_field = "url"


class IdempotencyKeyReused(Invalid):
    default_code = "idempotency_key_reused"
    default_detail = "This Idempotency-Key was used with another body."
    default_field = "Idempotency-Key"


class PreconditionRequired(DispatchError):
    status = 428
    title = "Say which version you mean"
    default_code = "precondition_required"
    default_detail = "Send `If-Match` with the ETag that you read."


class TooManyRequests(DispatchError):
    """`retry_after_s`: whole seconds until the next try may go through."""

    status = 429
    title = "Too many requests"
    default_code = "too_many_requests"
    default_detail = "Slow down."

    def __init__(
        self, code: str | None = None, detail: str | None = None, *, retry_after_s: int = 60, **extra: Any
    ) -> None:
        super().__init__(code, detail, headers={"Retry-After": str(max(1, retry_after_s))}, **extra)
        self.retry_after_s = retry_after_s


class Unavailable(DispatchError):
    """Something that we need is away. `retry_after_s`: when to try again."""

    status = 503
    title = "Not available now"
    default_code = "unavailable"
    default_detail = "Something that we need is away; try again."

    def __init__(
        self, code: str | None = None, detail: str | None = None, *, retry_after_s: int = 5, **extra: Any
    ) -> None:
        super().__init__(code, detail, headers={"Retry-After": str(max(1, retry_after_s))}, **extra)
        self.retry_after_s = retry_after_s
