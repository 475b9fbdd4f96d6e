"""Leaflet, which draws the map on the tracking page: served from the installed package, so that no page asks a third
party for it."""

from pathlib import Path

from flask import Response, send_from_directory, url_for
from xstatic.pkg import leaflet as package

from api.auth import PUBLIC, allow
from api.pages.site import pages
from dispatch.errors import NotFound

SERVED = (".js", ".css", ".png")
"""Without sources and their maps."""


@pages.get("/leaflet/<version>/<path:name>")
@allow(PUBLIC)
def leaflet(version: str, name: str) -> Response:
    """A file of the version that is installed; may be kept for good."""
    if version != package.VERSION or Path(name).suffix not in SERVED:
        raise NotFound
    return send_from_directory(package.BASE_DIR, name)


def leaflet_file(name: str) -> str:
    """The address of one of its files."""
    return url_for("pages.leaflet", version=package.VERSION, name=name)
