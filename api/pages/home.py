"""`/`: what this is and where to go."""

from flask import Response

from api import context
from api.auth import PUBLIC, allow
from api.pages.site import page, pages
from dispatch.catalogue import services
from dispatch.organization import only_organization


@pages.get("/")
@allow(PUBLIC)
def home() -> Response:
    """For whoever comes without a link. Where the installation is one organization's, its booking is the first door."""
    session = context.session()
    organization = only_organization(session)
    is_open = organization is not None and bool(services(session, organization.id))
    return page(
        "home.html",
        public_url=context.settings().public_url,
        organization=organization if is_open else None,
    )
