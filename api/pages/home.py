"""`/`: what this is and where to go."""

from flask import Response

from api import context
from api.auth import PUBLIC, allow
from api.pages.site import page, pages


@pages.get("/")
@allow(PUBLIC)
def home() -> Response:
    """For whoever comes without a link."""
    return page("home.html", public_url=context.settings().public_url)
