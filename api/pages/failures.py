"""What fails for a browser is told as a page that says what to do; programs get their problem+json."""

from http import HTTPStatus

from flask import Request, Response, request

from api.pages.site import PRIVATE, page, pages
from api.pages.words import advice
from api.problems import MEDIA_TYPE

NO_PAGES = ("/v1/", "/optimization", "/healthz", "/readyz", "/metrics", "/openapi.json")
"""Paths that only programs ask for."""


def as_page(response: Response) -> Response:
    """The same refusal, with its status and headers, as a page where a page was asked for."""
    if response.mimetype != MEDIA_TYPE or not _asks_for_page(request):
        return response
    problem = response.get_json()
    if response.status_code == HTTPStatus.NOT_FOUND and request.path.startswith(PRIVATE):
        told = page("tracking_gone.html")
    else:
        told = page("failure.html", problem=problem, advice=advice(response.status_code))
    response.set_data(told.get_data())
    response.mimetype = "text/html"
    return response


def _asks_for_page(asked: Request) -> bool:
    if asked.path.startswith(NO_PAGES):
        return False
    if asked.blueprint == pages.name:
        return True
    return asked.accept_mimetypes["text/html"] > asked.accept_mimetypes[MEDIA_TYPE]
