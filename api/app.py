"""The application: who calls, which view answers, in which transaction, and how failures are told."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Flask, Response, g, request
from flask_openapi.openapi import OpenAPI
from pydantic import ValidationError
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix

from api import auth, docs, limits, logs, pages, problems, streaming, transaction
from api.appointments import appointments
from api.auth import Access, access_of
from api.board import board
from api.bodies import MAX_BODY_BYTES, ApiRequest, refusal_of
from api.calendars import calendars
from api.catalogue import services
from api.context import EXTENSION, Installation, current_view, utc_now
from api.decisions import decisions
from api.earnings import pay
from api.geocode import geocode
from api.keys import keys
from api.offers import offers
from api.openapi import INFO, OPENAPI_VERSION, SECURITY_SCHEMES, Problem, completed
from api.operations import operations
from api.optimization import optimization
from api.overrides import overrides
from api.own_data import own
from api.plans import plans
from api.policy import content_policy
from api.promises import promises
from api.repairs import repairs
from api.reviews import reviews
from api.schemas import NoBody
from api.service_requests import service_requests
from api.shifts import shifts
from api.slots import slots
from api.technicians import technicians
from api.territories import territories
from api.tracking import tracking
from api.visits import visits
from dispatch.database import open_engine
from dispatch.errors import Invalid, NotFound
from dispatch.settings import Settings, load_settings
from dispatch.tables import METADATA

RESOURCES = (
    operations,
    keys,
    services,
    territories,
    geocode,
    technicians,
    shifts,
    calendars,
    pay,
    service_requests,
    slots,
    appointments,
    overrides,
    visits,
    offers,
    decisions,
    reviews,
    own,
    board,
    plans,
    repairs,
    promises,
    tracking,
    optimization,
)

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": content_policy(),
}


class Application(OpenAPI):
    """Flask with our order of things: 401 and 403 before anything is parsed, and one transaction around the
    view."""

    request_class = ApiRequest

    def dispatch_request(self) -> Response:
        """The matched view's answer."""
        if request.routing_exception is not None:
            self.raise_routing_exception(request)
        view = current_view()
        access = access_of(view) if view is not None else None
        if access is not None and request.method != "OPTIONS":
            if access.replays_to_former and g.former is not None:
                recalled = transaction.recalled(g.former)
                if recalled is not None:
                    return recalled
            auth.require(access)
            _refuse_unreadable(access, view)
        answer = transaction.serve(self._view, access)
        auth.note_use()
        return answer

    def _view(self) -> Response:
        return self.make_response(super().dispatch_request())

    def generate_spec_json(self) -> None:
        """flask-openapi's document, completed."""
        super().generate_spec_json()  # type: ignore[no-untyped-call]
        completed(self.spec_json, list(self.url_map.iter_rules()), self.view_functions)


def create_app(settings: Settings | None = None, *, clock: Callable[[], datetime] = utc_now) -> Application:
    """The application on `settings` (by default this process's environment), its time told by `clock`."""
    settings = settings or load_settings()
    logs.configure(settings)
    app = Application(
        "api",
        info=INFO,
        security_schemes=SECURITY_SCHEMES,
        validation_error_model=Problem,
        validation_error_callback=_refuse,
        doc_ui=False,
        static_folder=None,
    )
    app.openapi_version = OPENAPI_VERSION
    METADATA.sorted_tables  # noqa: B018  foreign keys find their tables once all are imported, or fail here
    app.url_map.merge_slashes = False  # an empty id is 404, not a redirect to another address
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.extensions[EXTENSION] = Installation(settings, open_engine(settings.database_url), clock)
    app.extensions[streaming.EXTENSION] = streaming.Streams(settings.streams)
    if settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.trusted_proxies, x_proto=settings.trusted_proxies
        )
    problems.register(app)
    logs.register(app)
    app.before_request(auth.identify)
    limits.register(app, settings)
    app.after_request(_secured)
    app.teardown_request(_closed)
    docs.register(app)
    pages.register(app)
    for resource in RESOURCES:
        app.register_api(resource)
    _require_declarations(app)
    return app


def _refuse(error: Any) -> Response:
    raise problems.invalid(error)


def _refuse_unreadable(access: Access, view: Any) -> None:
    """What no view has to look at: NUL in the address, a body that is too large, a body where none is
    taken."""
    if refusal_of(request.path):
        raise NotFound
    refused = [
        (name, message)
        for name, value in request.args.items(multi=True)
        if (message := refusal_of(name + value))
    ]
    if refused:
        raise Invalid(errors=refused)
    request.max_content_length = access.max_body_bytes
    if request.content_length is not None and request.content_length > access.max_body_bytes:
        raise RequestEntityTooLarge
    takes_body = access.raw_body or {"body", "form"} & set(view.__annotations__)
    if request.method in ("POST", "PUT", "PATCH") and not takes_body:
        _refuse_any_body()


def _refuse_any_body() -> None:
    try:
        NoBody.model_validate(request.get_json())
    except ValidationError as error:
        raise problems.invalid(error) from error


def _secured(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if request.path.startswith("/v1/"):
        response.headers.setdefault("Cache-Control", "no-store")
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response


def _closed(_error: BaseException | None) -> None:
    transaction.close()


def _require_declarations(app: Flask) -> None:
    """No route under /v1, and none that changes something, without `@allow`: who may call is decided, not forgotten,
    and a browser session's token is asked for."""
    undeclared = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if (rule.rule.startswith("/v1/") or (rule.methods or set()) - auth.SAFE_METHODS)
        and access_of(app.view_functions[rule.endpoint]) is None
    ]
    if undeclared:
        raise RuntimeError(f"these routes say nobody may call them; add @allow: {', '.join(undeclared)}")
