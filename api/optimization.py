"""VROOM's JSON in and out: planning without anything being kept."""

from http import HTTPStatus
from typing import Any

from flask import Response, request
from flask_openapi.models.schema import Schema
from pydantic import ConfigDict, Field
from werkzeug.exceptions import RequestEntityTooLarge

from api import context
from api.auth import allow
from api.openapi import resource
from api.schemas import Answer, Body, example
from api.solving import pool_of
from dispatch.errors import UnsupportedMediaType
from optimizer import vroom

MAX_BYTES = 32 << 20
VROOM_API = "https://github.com/VROOM-Project/vroom/blob/master/docs/API.md"
STATUSES = {
    vroom.OK: HTTPStatus.OK,
    vroom.INPUT_ERROR: HTTPStatus.BAD_REQUEST,
    vroom.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}
"""HTTP's status for VROOM's code, as vroom-express has it."""

EXAMPLE: dict[str, Any] = {
    "vehicles": [
        {
            "id": 1,
            "start": [-73.9857, 40.7484],
            "end": [-73.9857, 40.7484],
            "skills": [1],
            "time_window": [28800, 61200],
        }
    ],
    "jobs": [
        {"id": 11, "location": [-73.9680, 40.7851], "service": 1800, "skills": [1]},
        {"id": 12, "location": [-73.9969, 40.7061], "service": 1800, "time_windows": [[36000, 43200]]},
    ],
}

optimization = resource("optimization", "VROOM's JSON in and out: planning without keeping.", url_prefix="")


class VroomDocument(Body):
    """What VROOM takes. It is read by VROOM's rules, not by those of other bodies: unknown keys are ignored."""

    model_config = example(EXAMPLE) | ConfigDict(extra="allow")

    jobs: list[dict[str, Any]] = Field(description="Up to 1,000.")
    vehicles: list[dict[str, Any]] = Field(description="Up to 200.")
    matrices: dict[str, dict[str, list[list[int]]]] | None = Field(
        None, description="By profile: durations, distances and costs."
    )
    options: dict[str, Any] | None = Field(
        None,
        description="Of vroom-express: c judges the vehicles' steps, g adds geometry, x and l bound the search.",
    )


class VroomAnswer(Answer):
    """What VROOM answers; `unassigned` gains `reasons` and `would_fit_if`."""

    code: int = Field(examples=[0])
    summary: dict[str, Any]
    unassigned: list[dict[str, Any]]
    routes: list[dict[str, Any]]


class VroomError(Answer):
    """VROOM's body for what is refused. code: 2 for an error of the input, 4 for too much of it."""

    code: int = Field(examples=[2])
    error: str = Field(
        examples=["shipments are not served; plan pickups and deliveries as jobs of their own"]
    )


@optimization.post(
    "/optimization",
    summary="Plan or judge routes",
    responses={200: VroomAnswer, 400: VroomError, 413: VroomError},
    request_body={
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/VroomDocument"}}},
    },
)
@allow("dispatcher", "integration", raw_body=True, max_body_bytes=MAX_BYTES, idempotent=False, bare_key=True)
def optimize() -> Response:
    """VROOM's JSON, see its documentation; shipments and what else is not served is refused by name. The key may stand
    in `Authorization` without `Bearer`, as openrouteservice's clients send it. Nothing is kept."""
    if request.content_encoding not in (None, "", "identity"):
        raise UnsupportedMediaType(detail="Send the body without Content-Encoding.")
    settings = context.settings()
    pool = pool_of(settings.optimization_processes, settings.optimization_time_limit_s)
    return _answer(pool.answer(request.get_data(cache=False)))


@optimization.errorhandler(RequestEntityTooLarge)
def _too_large(_error: RequestEntityTooLarge) -> Response:
    return _answer(vroom.refusal(f"the document is larger than {MAX_BYTES >> 20} MiB", vroom.TOO_LARGE))


def _answer(answered: vroom.Answer) -> Response:
    return Response(answered.text, STATUSES[answered.code], mimetype="application/json")


optimization.components_schemas["VroomDocument"] = Schema(**VroomDocument.model_json_schema())
