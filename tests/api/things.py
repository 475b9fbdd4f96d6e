"""A resource that shows every convention, mounted by tests alone: its things are organizations."""

from typing import Annotated, Any

from flask import Response
from pydantic import Field
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, func, select

from api import context
from api.auth import PUBLIC, allow
from api.etag import require_match
from api.openapi import resource
from api.pagination import Page, PageQuery, page_of, paginate
from api.render import answer
from api.schemas import Answer, Body, Day, Id, Instant, Money, Name, Path, Place
from dispatch.errors import Conflict, NotFound
from dispatch.ids import new_id
from dispatch.organization import Organization

things = resource("things", "For tests.")

SEEN: list[str] = []
"""What ran after a commit, and how often the flaky view was tried."""


class NewThing(Body):
    """A thing to be made."""

    name: Name
    count: Annotated[int, Field(ge=0, le=9)] = 0
    ratio: float | None = None
    at: Instant | None = None
    day: Day | None = None
    price: Money | None = None
    place: Place | None = None


class ThingOut(Answer):
    """A thing."""

    id: str
    name: str
    at: Instant | None = None
    day: Day | None = None


class ThingPage(Page[ThingOut]):
    """Things."""


class ThingPath(Path):
    """Which thing."""

    thing_id: Id


class ThingQuery(PageQuery):
    """Things by currency."""

    currency: str | None = None


class MaybeReason(Body):
    """Nothing in it is required."""

    reason: Name | None = None


def make(name: str) -> Organization:
    made = Organization(slug=new_id(), name=name, currency="USD", time_zone="UTC", created_at=context.now())
    context.session().add(made)
    context.session().flush()
    return made


def things_named(session: Session, name: str) -> int:
    """How many things of that name were committed."""
    session.rollback()
    counted = session.exec(select(func.count()).where(col(Organization.name) == name)).one()
    session.rollback()
    return counted


@things.post("/things", summary="Make", responses={201: ThingOut})
@allow("dispatcher", "integration")
def create(body: NewThing) -> Response:
    made = make(body.name)
    context.after_commit(lambda: SEEN.append(body.name))
    return answer(ThingOut(id=made.id, name=made.name, at=body.at, day=body.day), 201)


@things.post("/public-things", summary="Make as anyone", responses={201: ThingOut})
@allow(PUBLIC)
def create_publicly(body: NewThing) -> Response:
    made = make(body.name)
    return answer(ThingOut(id=made.id, name=made.name), 201)


@things.get("/things", summary="List", responses={200: ThingPage})
@allow("dispatcher")
def read_all(query: ThingQuery) -> Response:
    wanted = select(Organization).where(col(Organization.name).startswith("thing"))
    if query.currency is not None:
        wanted = wanted.where(Organization.currency == query.currency)
    by = [col(Organization.created_at), col(Organization.id)]
    rows, cursor = paginate(context.session(), wanted, query, by=by)
    return answer(page_of(ThingPage, rows, cursor))


@things.get("/things/<thing_id>", summary="Read", responses={200: ThingOut})
@allow("dispatcher")
def read(path: ThingPath) -> Response:
    found = context.session().get(Organization, path.thing_id)
    if found is None:
        raise NotFound
    return answer(ThingOut.model_validate(found), version=1)


@things.patch("/things/<thing_id>", summary="Change", responses={200: ThingOut})
@allow("dispatcher")
def change(path: ThingPath, body: MaybeReason) -> Response:
    require_match(1, required=False)
    return answer(ThingOut(id=path.thing_id, name=",".join(body.changes())), version=2)


@things.post("/things/<thing_id>/pin", summary="Pin", responses={200: ThingOut})
@allow("dispatcher")
def pin(path: ThingPath) -> Response:
    require_match(1)
    return answer(ThingOut(id=path.thing_id, name="pinned"), version=2)


@things.post("/things/<thing_id>/cancel", summary="Cancel", responses={200: ThingOut})
@allow("dispatcher")
def cancel(path: ThingPath, body: MaybeReason) -> Response:
    return answer(ThingOut(id=path.thing_id, name=body.reason or "no reason"))


@things.post("/refused-things", summary="Make, then fail", responses={201: ThingOut})
@allow("dispatcher")
def create_and_refuse(body: NewThing) -> Response:
    make(body.name)
    SEEN.append("refused")
    raise Conflict("too_late", "Somebody was faster.", by="them")


@things.post("/broken-things", summary="Make, then break", responses={201: ThingOut})
@allow("dispatcher")
def create_and_break(body: NewThing) -> Response:
    make(body.name)
    raise RuntimeError("the secret ingredient")


@things.post("/flaky-things", summary="Make at the second try", responses={201: ThingOut})
@allow("dispatcher")
def create_at_last(body: NewThing) -> Response:
    made = make(body.name)
    SEEN.append("tried")
    if SEEN.count("tried") < 2:
        raise OperationalError("UPDATE", {}, Lost())
    return answer(ThingOut(id=made.id, name=made.name), 201)


class Lost(Exception):
    """A driver's error: the transaction lost to another."""

    sqlstate = "40001"


@things.get("/writing-things", summary="A GET that writes", responses={200: ThingOut})
@allow("dispatcher")
def write_in_a_get() -> Response:
    return answer(ThingOut(id=make("thing").id, name="thing"))


@things.get("/declared-things", summary="A GET that says it writes", responses={200: ThingOut})
@allow("dispatcher", writes=True)
def write_in_a_declared_get() -> Response:
    return answer(ThingOut(id=make("declared").id, name="declared"))


@things.get("/scarce-things", summary="Seldom", responses={200: ThingOut})
@allow(PUBLIC, limit="2/minute")
def scarce() -> Response:
    return answer(ThingOut(id=new_id(), name="scarce"))


def body(**members: Any) -> dict[str, Any]:
    """A body that is accepted, with these members too."""
    return {"name": "thing", **members}
