"""`/book/{organization}`: a customer says what is needed and where. The request is born when that is sent; choosing a
time is the next step, on the customer's own page `/m/{manage_token}`, which a reload, the way back and a lost
connection cannot harm."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus

from flask import Response, request, url_for

from api import context
from api.auth import PUBLIC, allow
from api.pages.address import Candidates, candidate_choices, candidates_again, place_of_address
from api.pages.languages import Language
from api.pages.site import asset, pages
from api.pages.visitor import (
    Contact,
    Refused,
    body_refusals,
    contact_refusals,
    link,
    onward,
    refusing,
    spoken,
    switched_code,
    typed,
    visitor_page,
)
from api.service_requests import RequestedWork
from dispatch import idempotency, intake
from dispatch.access import actor_of
from dispatch.catalogue import services
from dispatch.idempotency import StoredAnswer
from dispatch.keys import ANONYMOUS
from dispatch.organization import Organization, organization_by_slug
from dispatch.service_request import Source

FORM_TOKEN_BYTES = 32
FEW = 8
"""So many services are laid out to choose from; more are a list to pick from, so that a phone shows the rest too."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What was entered. candidate: which place was meant, where the address was doubtful."""

    service: str
    address: str
    candidate: str
    contact: Contact

    @property
    def digest(self) -> bytes:
        """One for each different form, and one way."""
        return hashlib.sha256(json.dumps(asdict(self)).encode("utf-8", "surrogatepass")).hexdigest().encode()


@pages.get("/book/<slug>")
@allow(PUBLIC)
def book(slug: str) -> Response:
    """The form."""
    organization = organization_by_slug(context.session(), slug)
    return _form(organization, spoken(), Typed("", "", "", Contact("", "", "", "")), _new_token())


@pages.post("/book/<slug>")
@allow(PUBLIC, raw_body=True, idempotent=False, limit="30/minute")
def send(slug: str) -> Response:
    """Registers the request once, however often the form is sent, and leads on to its page."""
    organization, language = organization_by_slug(context.session(), slug), spoken()
    given = Typed(typed("service"), typed("address"), typed("candidate"), Contact.typed())
    token = request.form.get("form_token") or _new_token()
    if switched_code():
        return _form(organization, language, given, token, candidates=candidates_again())
    try:
        return onward(_sent_once(organization, language, given, token))
    except Refused as refused:
        return _form(organization, language, given, token, refused.fields, refused.candidates)


@pages.get("/book/<slug>/app.webmanifest")
@allow(PUBLIC)
def manifest(slug: str) -> Response:
    """By which a browser puts the page among its applications (W3C Web Application Manifest)."""
    organization, language = organization_by_slug(context.session(), slug), spoken()
    members = {
        "id": url_for("pages.book", slug=slug),
        "name": organization.name,
        "short_name": organization.name[:12],
        "lang": language.code,
        "dir": language.direction,
        "start_url": link("book", slug=slug),
        "scope": "/",
        "display": "minimal-ui",
        "background_color": "#f6f7f5",
        "theme_color": "#0b6a5b",
        "icons": [
            {"src": asset("icon.svg"), "type": "image/svg+xml", "sizes": "any"},
            {"src": asset("icon-192.png"), "type": "image/png", "sizes": "192x192"},
            {"src": asset("icon-512.png"), "type": "image/png", "sizes": "512x512"},
            {
                "src": asset("icon-maskable-512.png"),
                "type": "image/png",
                "sizes": "512x512",
                "purpose": "maskable",
            },
        ],
    }
    return Response(json.dumps(members), mimetype="application/manifest+json")


def _new_token() -> str:
    return secrets.token_urlsafe(FORM_TOKEN_BYTES)


def _sent_once(organization: Organization, language: Language, given: Typed, form_token: str) -> str:
    """Where to go on. A form with the same token makes no second request, whatever else it says by now."""
    session, now = context.session(), context.now()
    secret = context.settings().secret.get_secret_value()
    call = idempotency.call_of(ANONYMOUS, f"POST /book/{organization.slug}", form_token, b"", secret)
    with idempotency.running(session, call, waits=True):
        stored = idempotency.recall(session, call, now)
        if stored is not None:
            told = None if stored.body == given.digest else "already_sent"
            return link("manage", token=stored.headers["Manage-Token"], told=told)
        token = _register(organization, language, given)
        kept = StoredAnswer(HTTPStatus.SEE_OTHER, {"Manage-Token": token}, given.digest)
        idempotency.remember(session, call, kept, now)
    return link("manage", token=token)


def _register(organization: Organization, language: Language, given: Typed) -> str:
    """A new request and its manage token. Raises `Refused`."""
    session, now, by = context.session(), context.now(), actor_of(ANONYMOUS)
    members = {
        "service_id": given.service,
        "customer": {**given.contact.customer(), "language": language.code},
        "place": {"address": given.address},
        "notes": given.contact.notes or None,
        "source": Source.WEB,
    }
    refused = body_refusals(RequestedWork, members) | contact_refusals(given.contact)
    if refused:
        raise Refused(refused)
    work = RequestedWork.model_validate(members)
    with refusing():
        place = place_of_address(given.address, given.candidate)
        row, _ = intake.register(session, organization.id, work.at(place), by, now)
    return intake.manage_token(session, row, now)


def _form(
    organization: Organization,
    language: Language,
    given: Typed,
    form_token: str,
    refused: Mapping[str, str] | None = None,
    candidates: Candidates = (),
) -> Response:
    offered = services(context.session(), organization.id)
    return visitor_page(
        "book.html",
        language,
        organization,
        url_for("pages.book", slug=organization.slug),
        HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK,
        form_id="booking" if offered else None,
        action=link("book", slug=organization.slug),
        manifest=link("manifest", slug=organization.slug),
        services=[
            (
                service,
                language.told_length(service.duration_s),
                language.told_money(service.price_cents, organization.currency)
                if service.price_cents
                else None,
            )
            for service in offered
        ],
        few=FEW,
        given=given,
        contact=given.contact,
        form_token=form_token,
        refused=refused or {},
        candidates=candidate_choices(candidates),
    )
