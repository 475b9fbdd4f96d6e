"""The OpenAPI document and the pages that show it."""

import json
import re
from typing import Any

import pytest
from flask_openapi.openapi import OpenAPI
from openapi_spec_validator import validate
from werkzeug.routing import Rule

from api.auth import access_of
from api.schemas import Body
from tests.support.client import ApiClient

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture
def document(client: ApiClient) -> dict[str, Any]:
    found: dict[str, Any] = client.read("/openapi.json")
    return found


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")

    validate(document)


def test_every_route_for_programs_that_says_who_may_call_is_in_the_document(
    app: OpenAPI, document: dict[str, Any]
) -> None:
    missing = [
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        if access_of(app.view_functions[rule.endpoint]) is not None and not rule.endpoint.startswith("pages.")
        for method in (rule.methods or set()) & METHODS
        if method.lower() not in document["paths"].get(_documented(rule), {})
    ]

    assert missing == []


def test_every_operation_says_how_it_fails(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert {"401", "422", "429", "503"} <= set(operation["responses"]), (path, method)
            assert operation["x-callers"], (path, method)

    for response in document["components"]["responses"].values():
        assert list(response["content"]) == ["application/problem+json"]
        assert response["content"]["application/problem+json"]["example"]["code"]


def test_every_post_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        if path.startswith("/v1/") and "post" in operations:
            named = [parameter["name"] for parameter in operations["post"]["parameters"]]
            assert "Idempotency-Key" in named, path


def test_every_body_is_shown_by_an_example_that_is_accepted(document: dict[str, Any]) -> None:
    models = {model.__name__: model for model in _heirs(Body)}
    sent = [
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for operations in document["paths"].values()
        for operation in operations.values()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]

    assert sent
    for name in sent:
        for shown in document["components"]["schemas"][name]["examples"]:
            models[name].model_validate_json(json.dumps(shown))


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]

    assert len(set(names)) == len(names)


def test_no_two_models_share_a_name(app: OpenAPI, thing_client: ApiClient) -> None:
    from pydantic import BaseModel

    from api import schemas

    named: dict[str, type[BaseModel]] = {}
    for base in (schemas.Body, schemas.Answer, schemas.Query, schemas.Path):
        for model in _heirs(base):
            if model.__module__.startswith("api") and "[" not in model.__name__:
                assert named.setdefault(model.__name__, model) is model, model


def test_the_pages_load_nothing_from_elsewhere(client: ApiClient) -> None:
    page = client.call("GET", "/docs")

    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert loaded
    assert all(path.startswith("/docs/") for path in loaded)
    assert all(client.call("GET", path).status_code == 200 for path in loaded)
    assert "http" not in page.text + client.call("GET", "/docs/start.js").text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def _documented(rule: Rule) -> str:
    return re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule.rule)


def _heirs(model: type[Any]) -> list[type[Any]]:
    return [heir for direct in model.__subclasses__() for heir in (direct, *_heirs(direct))]
