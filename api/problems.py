"""Every error as `application/problem+json` (RFC 9457), Flask's own and the limiter's too."""

import json
import re
import time
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, g, request
from flask_limiter import RateLimitExceeded
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from dispatch import errors
from dispatch.database import unavailable
from dispatch.errors import DispatchError, Invalid

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:dispatch:problem:"

_log = structlog.get_logger("api")
_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    414: "uri_too_long",
    415: "unsupported_media_type",
    431: "headers_too_large",
}
_NO_FIELD = re.compile(r"^(?:body|__root__)$")


def problem(error: DispatchError) -> Response:
    """The answer that says `error`."""
    return _response(error.status, error.title, error.detail, error.code, error.extra, error.headers)


def invalid(error: ValidationError) -> Invalid:
    """What pydantic refused, as our own error: every field with a message."""
    return Invalid(
        errors=[(_field(item["loc"]), _message(item)) for item in error.errors(include_input=False)]
    )


def register(app: Flask) -> None:
    """One handler for each way in which a request can fail."""
    app.register_error_handler(DispatchError, problem)
    app.register_error_handler(ValidationError, _unexpected)
    app.register_error_handler(RateLimitExceeded, _too_many)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(PoolTimeout, _database)
    app.register_error_handler(Exception, _unexpected)


def _response(
    status: int, title: str, detail: str, code: str, extra: dict[str, Any], headers: dict[str, str]
) -> Response:
    members = {
        "type": f"{TYPE_PREFIX}{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    body = json.dumps({**extra, **members}, default=str)
    return Response(body, status, headers, mimetype=MEDIA_TYPE)


def _http(error: HTTPException) -> Response:
    """Werkzeug's own errors. Their headers stay: `Allow` of a 405, `Location` of a redirect."""
    response = error.get_response(request.environ)
    status = response.status_code
    if status < 400:
        return Response(response.get_data(), status, list(response.headers))
    title = HTTPStatus(status).phrase
    kept = {
        name: value
        for name, value in response.headers
        if name.lower() not in ("content-type", "content-length")
    }
    code = _CODES.get(status, title.lower().replace(" ", "_"))
    detail = error.description or title if status < 500 else errors.DispatchError.default_detail
    return _response(status, title, detail, code, {}, kept)


def _too_many(error: RateLimitExceeded) -> Response:
    limit = g.get("breached_limit")
    wait_s = max(1, int(limit.reset_at - time.time()) + 1) if limit is not None else 60
    said = f"The limit is {error.description}." if error.description else None
    return problem(errors.TooManyRequests(detail=said, retry_after_s=wait_s))


def _database(error: Exception) -> Response:
    away = unavailable(error)
    if away is None:
        return _unexpected(error)
    _log.warning("database_away", error=type(error).__name__)
    return problem(away)


def _unexpected(error: Exception) -> Response:
    """What nobody foresaw: logged in full, told to the caller in one sentence."""
    _log.error("request_failed", exc_info=error)
    return problem(DispatchError(detail=None, request_id=g.get("request_id")))


def _field(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location if not _NO_FIELD.match(str(part)))


def _message(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return "is not a field here"
    if item["type"] == "missing":
        return "is required"
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]
