"""The OpenAPI 3.1 document, told once for all routes: who may call, how it is refused, which headers are
honoured."""

import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.info import Info
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.routing import Rule

from api.auth import COOKIE, Access, access_of
from api.problems import MEDIA_TYPE
from dispatch import errors
from dispatch.errors import DispatchError

OPENAPI_VERSION = "3.1.1"
INFO = Info(
    title="Dispatch",
    version="1",
    description="Dispatch for field service done by freelancers: booking, offers, planning, tracking.\n\n"
    "Instants are RFC 3339, durations end in `_s` (seconds), distances in `_m` (metres), money is in minor "
    "units.",
)
SECURITY_SCHEMES: dict[str, Any] = {
    "key": {"type": "http", "scheme": "bearer", "description": "A key, as `Authorization: Bearer KEY`."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "The cookie of /login; what changes something also sends its token as `X-CSRF-Token`.",
    },
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Sent twice with the same body within 24 hours, the request happens once and is answered "
    "twice. Of a caller without a key it needs 32 characters.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "example": "5f0c1a52-6f0e-4f6d-9a6e-2d1f6a0f3b11",
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag that was read; 412 if the resource changed meanwhile.",
    "schema": {"type": "string"},
    "example": '"v3"',
}
_KINDS: dict[str, type[DispatchError]] = {
    "400": errors.BadRequest,
    "401": errors.Unauthenticated,
    "403": errors.Forbidden,
    "404": errors.NotFound,
    "409": errors.Conflict,
    "412": errors.StaleVersion,
    "413": errors.TooLarge,
    "415": errors.UnsupportedMediaType,
    "422": errors.Invalid,
    "428": errors.PreconditionRequired,
    "429": errors.TooManyRequests,
    "503": errors.Unavailable,
}
View = TypeVar("View", bound=Callable[..., Any])
_METHODS = ("get", "post", "put", "patch", "delete")


class FieldProblem(BaseModel):
    """One field that was refused."""

    field: str = Field(examples=["customer.name"])
    message: str = Field(examples=["must not be blank"])


class Problem(BaseModel):
    """Why a request failed (RFC 9457). `code` is stable; some kinds add members of their own."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:dispatch:problem:invalid"])
    title: str = Field(examples=["Refused as it stands"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["Some fields are refused."])
    code: str = Field(examples=["invalid"])
    errors: list[FieldProblem] | None = Field(None, description="With 422.")


def resource(name: str, tag: str, *, url_prefix: str = "/v1") -> APIBlueprint:
    """The blueprint of one resource's file. `tag` says in a sentence what it is."""
    return APIBlueprint(
        name,
        f"api.{name}",
        url_prefix=url_prefix,
        abp_tags=[{"name": name, "description": tag}],
        operation_id_callback=lambda *, bp_name, name, path, method: f"{bp_name}_{name}",
    )


def also_answers(media_type: str, shown: str) -> Callable[[View], View]:
    """Declares what else than JSON the view answers with 200. Written above `@allow`; `completed` reads it back."""

    def declare(view: View) -> View:
        cast(Any, view).also_answers = {media_type: {"schema": {"type": "string"}, "example": shown}}
        return view

    return declare


def completed(
    document: dict[str, Any], rules: list[Rule], views: dict[str, Callable[..., Any]]
) -> dict[str, Any]:
    """flask-openapi's document with what `@allow` and the conventions say of each operation."""
    for rule in rules:
        view = views[rule.endpoint]
        access = access_of(view)
        path = document["paths"].get(re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule.rule))
        if access is None or path is None:
            continue
        for method in _METHODS:
            if method.upper() in (rule.methods or ()) and method in path:
                _complete(path[method], method, access)
                if hasattr(view, "also_answers"):
                    path[method]["responses"]["200"]["content"].update(view.also_answers)
    components = document["components"]
    components["responses"] = {f"Problem{status}": _response(kind) for status, kind in _KINDS.items()}
    return document


def _complete(operation: dict[str, Any], method: str, access: Access) -> None:
    callers = ["anyone"] if access.public else sorted(access.roles)
    operation["description"] = (
        f"{operation.get('description', '')}\n\nMay call: {', '.join(callers)}.".strip()
    )
    operation["x-callers"] = callers
    operation["security"] = [{}, *_shown()] if access.public else _shown()
    parameters = operation.setdefault("parameters", [])
    in_path = any(parameter["in"] == "path" for parameter in parameters)
    if method == "post" and access.idempotent:
        parameters.append(_IDEMPOTENCY_KEY)
    if method in ("patch", "put"):
        parameters.append(_IF_MATCH)
    if not parameters:
        del operation["parameters"]
    statuses = ["401", "422", "429", "503"]
    statuses += [] if access.public else ["403"]
    statuses += ["404"] if in_path else []
    statuses += ["409", "413", "415", "400"] if method in ("post", "put", "patch") else []
    statuses += ["412"] if method in ("patch", "put") else []
    responses = {status: said for status, said in operation["responses"].items() if status != "422"}
    for status in sorted(statuses):
        responses.setdefault(status, {"$ref": f"#/components/responses/Problem{status}"})
    operation["responses"] = responses


def _shown() -> list[dict[str, list[str]]]:
    return [{name: []} for name in SECURITY_SCHEMES]


def _response(kind: type[DispatchError]) -> dict[str, Any]:
    example = {
        "type": f"urn:dispatch:problem:{kind.default_code}",
        "title": kind.title,
        "status": kind.status,
        "detail": kind.default_detail,
        "code": kind.default_code,
    }
    if kind.status == 422:
        example["errors"] = [{"field": "customer.name", "message": "must not be blank"}]
    said: dict[str, Any] = {
        "description": kind.title,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
    }
    if kind.status in (429, 503):
        said["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds until the next try."}
        }
    return said
