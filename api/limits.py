"""How often one may call: by key where there is one, by address where there is none. Answers 429 beyond
it."""

from flask import Flask, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from api import context
from api.auth import access_of
from dispatch.settings import Settings

WITH_KEY = "1200/minute"
WITHOUT_KEY = "240/minute"
EXEMPT_ENDPOINTS = frozenset(
    {"pages.static", "pages.leaflet", "docs.static", "operations.healthz", "operations.readyz"}
)


def register(app: Flask, settings: Settings) -> Limiter:
    """Counts every request to a route, each route by itself. A route's own limit comes with
    `@allow(limit=...)`."""
    limiter = Limiter(
        _caller,
        default_limits=[_limit],
        default_limits_exempt_when=lambda: request.endpoint in EXEMPT_ENDPOINTS,
        storage_uri=settings.rate_limit_storage,
        strategy="fixed-window",
        headers_enabled=False,
        in_memory_fallback_enabled=settings.rate_limit_storage != "memory://",
        on_breach=_keep,
        enabled=settings.rate_limits,
    )
    limiter.init_app(app)
    return limiter


def _caller() -> str:
    """A customer's key comes with every public request: it makes nobody better known than the address does."""
    principal = context.principal()
    if principal.key_id is None or principal.role == "customer":
        return get_remote_address()
    return principal.key_id


def _limit() -> str:
    view = context.current_view()
    access = access_of(view) if view is not None else None
    if access is not None and access.limit is not None:
        return access.limit
    return WITH_KEY if context.principal().key_id else WITHOUT_KEY


def _keep(limit: object) -> None:
    g.breached_limit = limit
