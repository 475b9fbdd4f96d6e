"""Slots: windows that can be kept, and holding one for some minutes."""

from typing import Self

from flask import Response
from pydantic import Field

from api import context
from api.auth import allow
from api.openapi import resource
from api.reasons import reasons_out
from api.render import answer
from api.schemas import (
    Answer,
    Body,
    Day,
    Id,
    Instant,
    Money,
    Path,
    Query,
    ReasonOut,
    Token,
    Window,
    absent,
    example,
)
from dispatch import holds
from dispatch.access import actor_of, hold_of, job_of_request, request_of_slot
from dispatch.slots import Slot, slots_for

slots = resource("slots", "Arrival windows that can be kept together with every promise made.")


class SlotOut(Answer):
    """A window that can be promised. grade: 0 to 100 in tens, 100 costs the plan no travel."""

    slot_id: str
    arrival_window: Window
    grade: int
    recommended: bool
    price: Money
    extra_travel_s: int | None = Field(None, exclude_if=absent, description="For dispatchers.")

    @classmethod
    def of(cls, slot: Slot) -> Self:
        """As everybody may see it; `extra_travel_s` is for dispatchers."""
        for_dispatchers = context.principal().role == "dispatcher"
        return cls(
            slot_id=slot.slot_id,
            arrival_window=Window(start=slot.start, end=slot.end),
            grade=slot.grade,
            recommended=slot.recommended,
            price=Money(amount=slot.price_cents, currency=slot.currency),
            extra_travel_s=slot.extra_travel_s if for_dispatchers else None,
        )


class SlotsOut(Answer):
    """Best first. Where there is none: why, and what would help."""

    items: list[SlotOut]
    reasons: list[ReasonOut]
    would_fit_if: list[ReasonOut]


class SlotsPath(Path):
    """For which request."""

    service_request_id: Id


class SlotsQuery(Query):
    """Local days of the territory, both included; by default the next seven."""

    from_: Day | None = Field(None, alias="from")
    to: Day | None = None
    limit: int = Field(50, ge=1, le=200)


class NewHold(Body):
    """Which slot to keep."""

    model_config = example({"slot_id": "eyJ3Ijo0fQ.Qh-22Cr_qD"})

    slot_id: Token


class HoldOut(Answer):
    """A slot that is kept until `expires_at`."""

    hold_id: str
    expires_at: Instant


class HoldPath(Path):
    """Which hold."""

    hold_id: Id


@slots.get("/service-requests/<service_request_id>/slots", summary="Find slots", responses={200: SlotsOut})
@allow("customer", "integration", "dispatcher")
def read_all(path: SlotsPath, query: SlotsQuery) -> Response:
    """Of a request that has a promise, its own visit counts as removed. A search covers 14 days at most."""
    job = job_of_request(context.session(), context.principal(), path.service_request_id)
    found = slots_for(
        context.session(), context.settings(), job, query.from_, query.to, context.now(), query.limit
    )
    return answer(
        SlotsOut(
            items=[SlotOut.of(slot) for slot in found.items],
            reasons=reasons_out(found.reasons),
            would_fit_if=reasons_out(found.would_fit_if),
        )
    )


@slots.post("/slots/hold", summary="Hold a slot", responses={201: HoldOut})
@allow("customer", "integration", "dispatcher", limit="60/minute")
def hold(body: NewHold) -> Response:
    """Two a request. Booking with the `hold_id` uses it up."""
    session, principal = context.session(), context.principal()
    request = request_of_slot(session, principal, context.settings(), body.slot_id)
    held = holds.hold(session, context.settings(), request, body.slot_id, actor_of(principal), context.now())
    return answer(HoldOut(hold_id=held.id, expires_at=held.expires_at), 201)


@slots.delete("/holds/<hold_id>", summary="Release a hold", responses={200: HoldOut})
@allow("customer", "integration", "dispatcher")
def release(path: HoldPath) -> Response:
    """A second time changes nothing."""
    held = hold_of(context.session(), context.principal(), path.hold_id)
    holds.release(context.session(), context.settings(), held, context.now())
    return answer(HoldOut(hold_id=held.id, expires_at=held.expires_at))
