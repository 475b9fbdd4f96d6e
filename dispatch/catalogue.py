"""What an organization offers: services with their duration, needs, price and rules."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, Session, SQLModel, col, select

from dispatch.columns import enum_type
from dispatch.errors import NotFound
from dispatch.events import SYSTEM, Actor, record
from dispatch.ids import new_id
from dispatch.money import cents
from dispatch.offer import OfferStrategy
from dispatch.organization import Organization


class Service(SQLModel, table=True):
    """required_skills: least level by skill. arrival_window_s: how long a promised window lasts; windows start every
    slot_step_s of local wall time from midnight. buffer_before_s and buffer_after_s: at the place, around the work.
    min_notice_s: from booking to the window's start. cancel_free_before_s: before the window; later costs
    cancel_fee_cents. emergency_share: of a day's capacity kept for emergencies (0 to 1). offer_before_s and
    release_before_s: how long before the window offers leave and employees' visits are released."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    name: str = Field(max_length=200)
    description: str = Field(default="", max_length=4000)
    duration_s: int
    required_skills: dict[str, int] = Field(default_factory=dict, sa_type=JSON)
    price_cents: int = 0
    arrival_window_s: int = 7200
    slot_step_s: int = 3600
    cancel_free_before_s: int = 86_400
    cancel_fee_cents: int = 0
    min_notice_s: int = 7200
    buffer_before_s: int = 0
    buffer_after_s: int = 0
    emergency_share: float = 0.0
    offer_strategy: OfferStrategy = Field(default=OfferStrategy.CASCADE, sa_type=enum_type(OfferStrategy))
    offer_before_s: int = 86_400
    release_before_s: int = 43_200
    created_at: datetime
    version: int = 1

    @property
    def at_place_s(self) -> int:
        """How long a technician is taken at the place."""
        return self.buffer_before_s + self.duration_s + self.buffer_after_s


def services(session: Session, organization_id: str) -> list[Service]:
    query = select(Service).where(Service.organization_id == organization_id).order_by(col(Service.id))
    return list(session.exec(query))


def add_service(
    session: Session, organization: Organization, given: Mapping[str, Any], now: datetime, by: Actor = SYSTEM
) -> Service:
    """A new service with the columns that are given, `price` and `cancel_fee` as amounts of money. Raises `Invalid` for
    money of another currency."""
    service = Service(
        organization_id=organization.id, name=given["name"], duration_s=given["duration_s"], created_at=now
    )
    service.sqlmodel_update(_in_cents(organization, given))
    session.add(service)
    session.flush()
    record(session, organization.id, service.id, "service.added", now, by, after={"name": service.name})
    session.flush()
    return service


def service_to_change(session: Session, organization: Organization, service_id: str) -> Service:
    """Locked until the transaction ends. Raises `NotFound` for another organization's."""
    service = session.get(Service, service_id, with_for_update={"key_share": True}, populate_existing=True)
    if service is None or service.organization_id != organization.id:
        raise NotFound()
    return service


def change_service(
    session: Session,
    organization: Organization,
    service: Service,
    changes: Mapping[str, Any],
    by: Actor,
    now: datetime,
) -> None:
    """None brings back the usual rule. Raises `Invalid` for money of another currency."""
    usual = {
        name: field.get_default(call_default_factory=True) for name, field in Service.model_fields.items()
    }
    columns = _in_cents(organization, changes)
    former = service.model_dump(mode="json", include=set(columns))
    service.sqlmodel_update(
        {name: usual[name] if value is None else value for name, value in columns.items()}
    )
    service.version += 1
    session.add(service)
    fresh = service.model_dump(mode="json", include=set(columns))
    changed = {name for name, value in fresh.items() if value != former[name]}
    before, after = ({name: of[name] for name in sorted(changed)} for of in (former, fresh))
    if changed:
        record(session, organization.id, service.id, "service.changed", now, by, None, before, after)
    session.flush()


def _in_cents(organization: Organization, given: Mapping[str, Any]) -> dict[str, Any]:
    columns = dict(given)
    for name in {"price", "cancel_fee"} & columns.keys():
        columns[f"{name}_cents"] = cents(columns.pop(name), organization.currency, name)
    return columns
