"""The web pages: rendered on the server, usable without JavaScript, at 360 pixels and by keyboard; nothing is loaded
from elsewhere, and no style or script stands in a page itself, so that the policy can forbid both.

A page is a view that calls the verbs that the JSON routes call, and a template; what it shows in figures and words is
made by `timeline`, `route_map` and `words`, which know no request."""

from flask import Flask

from api.pages import (
    answering,
    board,
    booking,
    failures,
    home,
    kpis,
    leaflet,
    login,
    manage,
    tracking,
    work,
    work_day,
    work_decisions,
    work_earnings,
    work_offers,
    work_visits,
)
from api.pages.site import pages

__all__ = [
    "answering",
    "board",
    "booking",
    "failures",
    "home",
    "kpis",
    "leaflet",
    "login",
    "manage",
    "register",
    "tracking",
    "work",
    "work_day",
    "work_decisions",
    "work_earnings",
    "work_offers",
    "work_visits",
]


def register(app: Flask) -> None:
    """Mounts the pages. What fails for a browser is told as a page from then on."""
    app.register_blueprint(pages)
    app.after_request(failures.as_page)
