"""Logs: one line a request, with the route's template and never its path (which may hold a token), its body
or a key."""

import logging
import sys
import time
from typing import Any

import structlog
from flask import Flask, Response, g, request
from structlog.dev import plain_traceback

from api import context
from dispatch.ids import new_id
from dispatch.settings import Settings

REQUEST_ID = "X-Request-Id"

_log = structlog.get_logger("api.request")


def configure(settings: Settings) -> None:
    """Sets up structlog for this process: lines for people or JSON, to standard error. Tracebacks are plain: local
    variables hold keys."""
    level = getattr(logging, settings.log_level.upper())
    rendering: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain_traceback)]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def register(app: Flask) -> None:
    """A request id on every line and every answer."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.request_id, g.began = new_id(), time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _end(response: Response) -> Response:
    response.headers[REQUEST_ID] = g.request_id
    principal = context.principal()
    _log.info(
        "request",
        method=request.method,
        route=request.url_rule.rule if request.url_rule is not None else None,
        status=response.status_code,
        ms=round((time.perf_counter() - g.began) * 1000, 1),
        role=principal.role,
        key_id=principal.key_id,
    )
    return response
