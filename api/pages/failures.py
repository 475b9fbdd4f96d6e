"""What fails for a browser is told as a page that says what to do; programs get their problem+json."""

from http import HTTPStatus
from typing import Any

from flask import Request, Response, request, url_for

from api.pages.site import PRIVATE, page, pages
from api.pages.visitor import failure_language, note_language
from api.pages.words import advice
from api.problems import MEDIA_TYPE

NO_PAGES = ("/v1/", "/optimization", "/healthz", "/readyz", "/metrics", "/openapi.json")
"""Paths that only programs ask for."""
TRANSLATED = ("/book/", "/work", *PRIVATE)
"""Paths of pages that speak the language of whoever asks."""

_KINDS = {
    HTTPStatus.NOT_FOUND: "unknown",
    HTTPStatus.CONFLICT: "conflict",
    HTTPStatus.GONE: "conflict",
    HTTPStatus.TOO_MANY_REQUESTS: "many",
    HTTPStatus.SERVICE_UNAVAILABLE: "away",
}
_FIRST_PAGES = {
    "/book/": ("book", "slug"),
    "/m/": ("manage", "token"),
    "/t/": ("track", "token"),
    "/work": ("show_offers", None),
}
"""The view at which one begins again, and what its address names."""


def as_page(response: Response) -> Response:
    """The same refusal, with its status and headers, as a page where a page was asked for."""
    if response.mimetype != MEDIA_TYPE or not _asks_for_page(request):
        return response
    problem = response.get_json()
    if request.path.startswith(TRANSLATED):
        return _translated(response, problem)
    told = page("failure.html", problem=problem, advice=advice(response.status_code))
    return _retold(response, told)


def _translated(response: Response, problem: dict[str, Any]) -> Response:
    """In the language of whoever asks, and in words that mean something to them."""
    status = response.status_code
    language = failure_language(status)
    values: dict[str, Any] = {"language": language, "t": language.say}
    if status == HTTPStatus.NOT_FOUND and request.path.startswith(PRIVATE):
        told = page("gone.html", **values)
    else:
        kind = _KINDS.get(HTTPStatus(status), "broken" if status >= 500 else "form")
        told = page("visitor_failure.html", problem=problem, kind=kind, back=_first_page(status), **values)
    note_language(response, language)
    return _retold(response, told)


def _first_page(status: int) -> str | None:
    """Where to begin again; None where that is the very address at which nothing is."""
    given, lang = request.view_args or {}, request.args.get("lang")
    for path, (view, name) in _FIRST_PAGES.items():
        if not request.path.startswith(path):
            continue
        if name is None:
            return url_for(f"pages.{view}", lang=lang)
        if name in given and status != HTTPStatus.NOT_FOUND:
            return url_for(f"pages.{view}", lang=lang, **{name: given[name]})
    return None


def _retold(response: Response, told: Response) -> Response:
    response.set_data(told.get_data())
    response.mimetype = "text/html"
    return response


def _asks_for_page(asked: Request) -> bool:
    if asked.path.startswith(NO_PAGES):
        return False
    if asked.blueprint == pages.name:
        return True
    return asked.accept_mimetypes["text/html"] > asked.accept_mimetypes[MEDIA_TYPE]
