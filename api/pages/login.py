"""`/login` exchanges a key for a cookie, `/logout` takes it back."""

import re
from collections.abc import Mapping
from http import HTTPStatus

from flask import Response, redirect, request, url_for

from api import context
from api.auth import PUBLIC, allow, end_browser_session, start_browser_session
from api.pages.site import page, pages
from dispatch import keys
from dispatch.errors import Forbidden
from dispatch.keys import Principal, Role

_KEY = re.compile(r"[!-~]{1,200}")
_LOCAL = re.compile(r"/(?![/\\])[!-~]*")
"""A path of this site: no scheme, no host, and nothing that a browser would take for one."""
_AT_HOME: Mapping[Role, str] = {"dispatcher": "pages.show_board", "technician": "pages.show_offers"}
"""Where whoever signs in is led; all others to the first page."""


@pages.get("/login")
@allow(PUBLIC)
def login() -> Response:
    """The form."""
    return page("login.html", next=local_path(request.args.get("next")), refused=False)


@pages.post("/login")
@allow(PUBLIC, raw_body=True, idempotent=False, limit="20/minute")
def log_in() -> Response:
    """Opens a browser session for the key's caller. A wrong, an expired and a revoked key are answered alike."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("csrf_failed", "Another site sent you here; open the page yourself and try again.")
    onward = local_path(request.form.get("next"))
    caller = _caller(request.form.get("key", "").strip())
    if caller is None:
        return page("login.html", HTTPStatus.UNAUTHORIZED, next=onward, refused=True)
    response = _redirect(onward or url_for(_AT_HOME.get(caller.role, "pages.home")))
    start_browser_session(response, caller)
    return response


@pages.post("/logout")
@allow(PUBLIC, raw_body=True, idempotent=False)
def log_out() -> Response:
    """Takes the cookie back."""
    response = _redirect(url_for("pages.home"))
    end_browser_session(response)
    return response


def local_path(target: str | None) -> str | None:
    """The target if it is a path of this site, else None."""
    return target if target is not None and _LOCAL.fullmatch(target) else None


def _caller(key: str) -> Principal | None:
    if not _KEY.fullmatch(key):
        return None
    return keys.authenticate(context.session(), key, context.now())


def _redirect(target: str) -> Response:
    response = redirect(target, HTTPStatus.SEE_OTHER)
    assert isinstance(response, Response)
    return response
