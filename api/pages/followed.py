"""The visit behind a tracking link, in the language of its customer."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, url_for

from api import context
from api.pages.languages import Language
from api.pages.visitor import link, spoken, visitor_page
from dispatch.appointment import Appointment
from dispatch.customer import Customer
from dispatch.organization import Organization
from dispatch.service_request import ServiceRequest
from dispatch.territory import Territory
from dispatch.tracking import tracked_appointment


@dataclass(frozen=True, slots=True)
class Followed:
    """A visit and what belongs to it."""

    token: str
    appointment: Appointment
    request: ServiceRequest
    organization: Organization
    zone: ZoneInfo
    language: Language

    def link(self, view: str, **values: Any) -> str:
        """The address of one of its pages, in the language that was chosen."""
        return link(view, token=self.token, **values)

    def plain_link(self, view: str, **values: Any) -> str:
        """Without a chosen language."""
        return url_for(f"pages.{view}", token=self.token, **values)

    def page(
        self, template: str, status: int = HTTPStatus.OK, here: str | None = None, **values: Any
    ) -> Response:
        """A page of it. here: its address, by default the tracking page's."""
        here = here or self.plain_link("track")
        return visitor_page(
            template, self.language, self.organization, here, status, token=self.token, **values
        )


def followed(token: str) -> Followed:
    """Raises the same `NotFound` for a wrong, a revoked and an expired link."""
    session = context.session()
    appointment = tracked_appointment(session, context.settings(), token, context.now())
    request = session.get_one(ServiceRequest, appointment.service_request_id)
    return Followed(
        token=token,
        appointment=appointment,
        request=request,
        organization=session.get_one(Organization, appointment.organization_id),
        zone=ZoneInfo(session.get_one(Territory, appointment.territory_id).time_zone),
        language=spoken(session.get_one(Customer, request.customer_id).language),
    )
