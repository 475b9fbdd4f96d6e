"""The answer of a view, from a response model."""

from flask import Response
from pydantic import BaseModel

from api.etag import etag_of


def answer(
    model: BaseModel, status: int = 200, *, version: int | str | None = None, location: str | None = None
) -> Response:
    """The model as JSON. `version` of a single resource becomes its ETag, `location` the path of what was
    created."""
    response = Response(model.model_dump_json(), status, mimetype="application/json")
    if version is not None:
        response.headers["ETag"] = etag_of(version)
    if location is not None:
        response.headers["Location"] = location
    return response
