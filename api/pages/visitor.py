"""What the customer's pages share: the language of whoever asks, kept through the steps, and a page rendered in it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from flask import Response, g, redirect, request, url_for
from pydantic import ValidationError

from api.bodies import unwanted_text
from api.pages.languages import CODES, Language, known_code, language_of
from api.pages.site import page
from api.problems import invalid
from api.schemas import Body
from dispatch.catalogue import Service
from dispatch.errors import AddressAmbiguous, Invalid, Unavailable
from dispatch.organization import Organization

LONGEST_NOTES = 4_000

FIELDS: Mapping[str, str] = {
    "service_id": "service",
    "place": "address",
    "place.address": "address",
    "customer.name": "name",
    "customer.phone": "phone",
    "customer.email": "email",
    "notes": "notes",
}
"""The field of a form by the member of a body, in the order of the form."""

_BY_CODE = frozenset({"address_not_found", "address_ambiguous", "outside_territories"})


class Refused(Exception):
    """A form that cannot be taken as it stands: by its field, the key of the sentence that says why."""

    def __init__(self, fields: Mapping[str, str], candidates: Sequence[Mapping[str, Any]] = ()) -> None:
        order = list(dict.fromkeys(FIELDS.values()))
        self.fields = dict(sorted(fields.items(), key=lambda item: order.index(item[0])))
        self.candidates = candidates
        super().__init__(", ".join(self.fields))


@dataclass(frozen=True, slots=True)
class Contact:
    """How a customer is reached, as it was typed."""

    name: str
    phone: str
    email: str
    notes: str

    @classmethod
    def typed(cls) -> "Contact":
        """In the form that was sent."""
        return cls(*(typed(field) for field in ("name", "phone", "email", "notes")))

    def customer(self) -> dict[str, str | None]:
        """As a member of a body."""
        return {"name": self.name, "phone": self.phone or None, "email": self.email or None}


def typed(field: str) -> str:
    """What was typed into a field, its lines as we keep them."""
    return request.form.get(field, "").replace("\r\n", "\n").strip()


def contact_refusals(contact: Contact) -> dict[str, str]:
    """A customer who comes by the web can be reached in one way at least."""
    return {} if contact.phone or contact.email else {"phone": "error.contact"}


def refusals_of(error: Invalid) -> dict[str, str]:
    """By field of the form, why the body that it makes was refused. Raises the error where it is about none of them."""
    fields = [FIELDS.get(each["field"]) for each in error.extra["errors"]]
    named = [field for field in fields if field is not None]
    if len(named) < len(fields):
        raise error
    return {field: f"error.{error.code if error.code in _BY_CODE else field}" for field in named}


def body_refusals(model: type[Body], members: dict[str, Any]) -> dict[str, str]:
    """By field of the form, why the model would not take the members."""
    unwanted = unwanted_text(members)
    if unwanted:
        return refusals_of(Invalid(errors=unwanted))
    try:
        model.model_validate(members)
    except ValidationError as error:
        return refusals_of(invalid(error))
    return {}


@contextmanager
def refusing() -> Iterator[None]:
    """What a verb refuses about the form is raised as `Refused`, to be said at its fields."""
    try:
        yield
    except AddressAmbiguous as doubtful:
        raise Refused(refusals_of(doubtful), doubtful.extra["candidates"]) from doubtful
    except Invalid as error:
        raise Refused(refusals_of(error)) from error
    except Unavailable as away:
        if away.code != "geocoder_away":
            raise
        raise Refused({"address": "error.geocoder_away"}) from away


def wanted_code() -> str | None:
    """The language that was chosen on a page, None where none was."""
    return switched_code() or known_code(request.args.get("lang") or request.form.get("lang"))


def switched_code() -> str | None:
    """The language for which a form was sent, to be shown again as it was filled in; None where it was sent to be
    taken."""
    return known_code(request.form.get("speak"))


def spoken(kept: str | None = None) -> Language:
    """The language to answer in: the chosen one, else the one that was kept, else the browser's, else the first. A
    failure further on is told in it too."""
    g.language = language_of(wanted_code() or known_code(kept) or _browsers_code() or CODES[0])
    return cast(Language, g.language)


def failure_language(status: int) -> Language:
    """The language in which a failure is told: the one that the view found, else one that the address or the browser
    wants; the form is not read, whose body may be what failed. Who follows a dead link is told nothing of whose it was.
    """
    if status != HTTPStatus.NOT_FOUND and "language" in g:
        return cast(Language, g.language)
    return language_of(known_code(request.args.get("lang")) or _browsers_code() or CODES[0])


def _browsers_code() -> str | None:
    """The first of ours in the order of the header; a tag with a region means its language."""
    codes = (known_code(tag) for tag, quality in request.accept_languages if quality > 0)
    return next((code for code in codes if code is not None), None)


def link(view: str, **values: Any) -> str:
    """The address of a page, in the language that was chosen."""
    return url_for(f"pages.{view}", lang=wanted_code(), **values)


def onward(target: str) -> Response:
    """Leads on after a form was taken, so that loading the page again sends nothing again."""
    response = redirect(target, HTTPStatus.SEE_OTHER)
    assert isinstance(response, Response)
    return response


def spoken_page(
    template: str,
    language: Language,
    here: str,
    status: int = HTTPStatus.OK,
    form_id: str | None = None,
    **values: Any,
) -> Response:
    """A page in the language. here: its address, to be read in another language; form_id: of the form that another
    language must not empty, which is sent for it instead."""
    joint = "&" if "?" in here else "?"
    response = page(
        template,
        status,
        language=language,
        t=language.say,
        languages=[(language_of(code), f"{here}{joint}lang={code}") for code in CODES],
        wanted=wanted_code(),
        form_id=form_id,
        **values,
    )
    note_language(response, language)
    return response


def visitor_page(
    template: str,
    language: Language,
    organization: Organization,
    here: str,
    status: int = HTTPStatus.OK,
    form_id: str | None = None,
    **values: Any,
) -> Response:
    """A page of the organization's for its customers, as `spoken_page`."""
    return spoken_page(
        template,
        language,
        here,
        status,
        form_id,
        organization=organization,
        longest_notes=LONGEST_NOTES,
        **values,
    )


def note_language(response: Response, language: Language) -> None:
    """Says in which language the page is, and that this depends on who asks."""
    response.headers["Content-Language"] = language.code
    response.headers["Vary"] = "Accept-Language"


def cancellation_rule(language: Language, service: Service, currency: str) -> str:
    """What cancelling will cost, said before anything is booked."""
    if not service.cancel_fee_cents:
        return language.say("rule.free")
    fee = language.told_money(service.cancel_fee_cents, currency)
    if not service.cancel_free_before_s:
        return language.say("rule.until_start", fee=fee)
    return language.say("rule.before", length=language.told_length(service.cancel_free_before_s), fee=fee)
