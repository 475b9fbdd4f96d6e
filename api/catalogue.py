"""The catalogue: what an organization offers, for anyone to read, for its dispatchers to change."""

from typing import Annotated, Any, Self

from flask import Response
from pydantic import AfterValidator, Field, StringConstraints, field_validator
from sqlmodel import col, select

from api import context
from api.auth import PUBLIC, allow
from api.etag import require_match
from api.openapi import resource
from api.pagination import Page, PageQuery, page_of, paginate
from api.render import answer
from api.schemas import Answer, Body, Id, Money, Name, Note, Path, Seconds, example
from dispatch import catalogue
from dispatch.access import actor_of, own_organization
from dispatch.catalogue import Service
from dispatch.offer import OfferStrategy
from dispatch.organization import organization_by_slug

services = resource("services", "What organizations offer.")

Skill = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=64),
    Field(examples=["plumbing"]),
]
"""The name of a skill, in lower_snake."""

Level = Annotated[int, Field(ge=1, le=5)]


class RequiredSkill(Body):
    """A skill that a service needs, and the least level of it."""

    skill: Skill
    min_level: Level


def _each_once(skills: list[RequiredSkill]) -> list[RequiredSkill]:
    if len({required.skill for required in skills}) < len(skills):
        raise ValueError("each skill may occur once")
    return skills


RequiredSkills = Annotated[list[RequiredSkill], Field(max_length=20), AfterValidator(_each_once)]
Duration = Annotated[int, Field(ge=60, le=86_400)]
Buffer = Annotated[int, Field(ge=0, le=21_600)]
WindowLength = Annotated[int, Field(ge=0, le=86_400)]
SlotStep = Annotated[int, Field(ge=900, le=86_400)]
Share = Annotated[float, Field(ge=0, le=1)]


class NewService(Body):
    """A service to be offered. What is left out is as in the catalogue's usual rules."""

    model_config = example(
        {
            "name": "Dripping tap",
            "duration_s": 3600,
            "required_skills": [{"skill": "plumbing", "min_level": 2}],
            "price": {"amount": 9500, "currency": "USD"},
        }
    )

    name: Name
    description: Note = ""
    duration_s: Duration
    required_skills: RequiredSkills = Field(default_factory=list)
    price: Money | None = None
    arrival_window_s: WindowLength = 7_200
    slot_step_s: SlotStep = 3_600
    cancel_free_before_s: Seconds = 86_400
    cancel_fee: Money | None = None
    min_notice_s: Seconds = 7_200
    buffer_before_s: Buffer = 0
    buffer_after_s: Buffer = 0
    emergency_share: Share = 0.0
    offer_strategy: OfferStrategy = OfferStrategy.CASCADE
    offer_before_s: Seconds = 86_400
    release_before_s: Seconds = 43_200


class ServiceChanges(Body):
    """What is to change. null brings back the usual rule; a name and a duration there must be."""

    model_config = example({"price": {"amount": 9900, "currency": "USD"}, "min_notice_s": None})

    name: Name | None = None
    description: Note | None = None
    duration_s: Duration | None = None
    required_skills: RequiredSkills | None = None
    price: Money | None = None
    arrival_window_s: WindowLength | None = None
    slot_step_s: SlotStep | None = None
    cancel_free_before_s: Seconds | None = None
    cancel_fee: Money | None = None
    min_notice_s: Seconds | None = None
    buffer_before_s: Buffer | None = None
    buffer_after_s: Buffer | None = None
    emergency_share: Share | None = None
    offer_strategy: OfferStrategy | None = None
    offer_before_s: Seconds | None = None
    release_before_s: Seconds | None = None

    @field_validator("name", "duration_s")
    @classmethod
    def _there_must_be(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("cannot be cleared")
        return value


class ServiceOut(Answer):
    """A service, as anyone may read it."""

    id: str
    name: str
    description: str
    duration_s: int
    required_skills: list[RequiredSkill]
    price: Money
    arrival_window_s: int
    slot_step_s: int
    cancel_free_before_s: int
    cancel_fee: Money

    @classmethod
    def of(cls, service: Service, currency: str) -> Self:
        """Built from its row."""
        required = [
            RequiredSkill(skill=skill, min_level=level)
            for skill, level in sorted(service.required_skills.items())
        ]
        shown = service.model_dump() | {
            "required_skills": required,
            "price": Money(amount=service.price_cents, currency=currency),
            "cancel_fee": Money(amount=service.cancel_fee_cents, currency=currency),
        }
        return cls.model_validate(shown)


class ServiceRules(ServiceOut):
    """A service with the rules by which it is planned, as its dispatchers read it."""

    min_notice_s: int
    buffer_before_s: int
    buffer_after_s: int
    emergency_share: float
    offer_strategy: OfferStrategy
    offer_before_s: int
    release_before_s: int


class ServicePage(Page[ServiceOut]):
    """One page of services."""


class OrganizationPath(Path):
    """Which organization."""

    slug: str


class ServicePath(Path):
    """Which service."""

    service_id: Id


@services.get("/organizations/<slug>/services", summary="List services", responses={200: ServicePage})
@allow(PUBLIC)
def read_all(path: OrganizationPath, query: PageQuery) -> Response:
    """In the order in which they were added."""
    organization = organization_by_slug(context.session(), path.slug)
    wanted = select(Service).where(Service.organization_id == organization.id)
    rows, cursor = paginate(context.session(), wanted, query, by=[col(Service.id)])
    return answer(page_of(ServicePage, [ServiceOut.of(row, organization.currency) for row in rows], cursor))


@services.post("/services", summary="Add a service", responses={201: ServiceRules})
@allow("dispatcher")
def create(body: NewService) -> Response:
    """Money is in the organization's currency."""
    organization = own_organization(context.session(), context.principal())
    given = {name: value for name, value in body if name in body.model_fields_set and value is not None}
    by = actor_of(context.principal())
    service = catalogue.add_service(context.session(), organization, _columns(given), context.now(), by)
    return answer(ServiceRules.of(service, organization.currency), 201, version=service.version)


@services.patch("/services/<service_id>", summary="Change a service", responses={200: ServiceRules})
@allow("dispatcher")
def change(path: ServicePath, body: ServiceChanges) -> Response:
    """For what is booked from now on; promises that were made stand."""
    organization = own_organization(context.session(), context.principal())
    service = catalogue.service_to_change(context.session(), organization, path.service_id)
    require_match(service.version, required=False)
    by, changes = actor_of(context.principal()), _columns(body.changes())
    catalogue.change_service(context.session(), organization, service, changes, by, context.now())
    return answer(ServiceRules.of(service, organization.currency), version=service.version)


def _columns(given: dict[str, Any]) -> dict[str, Any]:
    """As the catalogue takes it: required skills as a mapping."""
    if given.get("required_skills") is None:
        return given
    needs = {required.skill: required.min_level for required in given["required_skills"]}
    return given | {"required_skills": needs}
