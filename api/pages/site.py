"""The blueprint of all pages, and how one is rendered: from a template, with the caller and versioned assets."""

import hashlib
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, url_for

from api import context
from api.auth import browser_session

STATIC = Path(__file__).with_name("static")
PRIVATE = ("/t/", "/m/")
"""Paths that hold a secret by which anyone who has it sees or manages a visit."""
ASSET_LIFE_S = 365 * 86_400
"""Addresses of assets carry a digest of their content or a version, so that they may be kept for good."""
LASTING = f"public, max-age={ASSET_LIFE_S}, immutable"

pages = Blueprint(
    "pages", "api.pages", template_folder="templates", static_folder="static", static_url_path="/static"
)


def page(template: str, status: int = 200, **values: Any) -> Response:
    """The template, rendered for whoever calls."""
    opened = browser_session()
    rendered = render_template(
        template,
        asset=asset,
        role=context.principal().role,
        csrf_token=opened.csrf_token if opened is not None else None,
        **values,
    )
    return make_response(rendered, status)


def asset(name: str) -> str:
    """The address of a file in `static`."""
    return url_for("pages.static", filename=name, v=_digest(name))


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


@pages.after_request
def _kept(response: Response) -> Response:
    """Assets for good, pages not at all: what they show is somebody's, and changes."""
    if request.endpoint == "pages.static":
        response.headers["Cache-Control"] = LASTING if "v" in request.args else "no-cache"
    elif request.endpoint == "pages.leaflet" and response.status_code == HTTPStatus.OK:
        response.headers["Cache-Control"] = LASTING
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


@pages.after_request
def _private(response: Response) -> Response:
    """What the address opens is neither told to another site nor indexed."""
    if request.path.startswith(PRIVATE):
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Robots-Tag"] = "noindex"
    return response
