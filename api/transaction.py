"""One request, one transaction: open at the first use, commit once the answer is rendered, roll back on any
error.

What lost to another transaction (see `dispatch.database`) runs again from its beginning, view and all. A
POST with an Idempotency-Key runs inside a savepoint, so that a refusal that is kept (409 `slot_taken`) is
recorded in the very transaction whose effect it undid."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, cast

from flask import Response, g, request
from sqlalchemy.exc import DBAPIError
from werkzeug.datastructures import FileStorage

from api import context
from api.auth import Access
from api.bodies import ApiRequest
from api.problems import problem
from dispatch import idempotency
from dispatch.database import ATTEMPTS, available, is_retryable, open_session
from dispatch.errors import DispatchError, Invalid
from dispatch.idempotency import Call, StoredAnswer
from dispatch.keys import Principal

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
_NOT_KEPT = frozenset({400, 401, 413, 415, 429})
_KEPT_HEADERS = ("Content-Type", "ETag", "Location", "Cache-Control")


def serve(view: Callable[[], Response], access: Access | None) -> Response:
    """The view's answer, after its transaction stands."""
    g.read_only = request.method in ("GET", "HEAD", "OPTIONS") and not (access and access.writes)
    if access is not None and access.idempotent and request.method == "POST" and HEADER in request.headers:
        call = _call(context.principal())
        return _attempt(lambda: _once(view, call))
    return _attempt(view)


def recalled(former: Principal) -> Response | None:
    """The stored answer to this very call by `former`, whose key opens no more; None if there is none."""
    if len(request.headers.get(HEADER, "")) < idempotency.LEAST_PUBLIC_KEY_LENGTH:
        return None
    with available(), open_session(context.engine(), read_only=True) as session:
        stored = idempotency.recall(session, _call(former), context.now())
    return _replayed(stored) if stored is not None else None


def refused_for_good(refusal: DispatchError) -> Response:
    """The answer of a view that refuses, and whose transaction is to stand all the same."""
    g.keep_refusal = True
    return problem(refusal)


def close() -> None:
    """Roll back and give back whatever is still open."""
    session = g.pop("session", None)
    if session is not None:
        session.close()


def _attempt(view: Callable[[], Response]) -> Response:
    for remaining in reversed(range(ATTEMPTS)):
        g.pop("after_commit", None)
        try:
            response = view()
            if "session" in g and (response.status_code < 400 or g.pop("keep_refusal", False)):
                g.session.commit()
            break
        except DBAPIError as error:
            if not remaining or not is_retryable(error):
                raise
        finally:
            close()
    for work in g.pop("after_commit", []):
        work()
    return response


def _call(caller: Principal) -> Call:
    return idempotency.call_of(
        caller,
        f"{request.method} {request.full_path}",
        request.headers[HEADER],
        _body(),
        context.settings().secret.get_secret_value(),
    )


def _body() -> Any:
    """What two calls are compared by: JSON values, the parts of a form, else the bytes."""
    if request.mimetype == "multipart/form-data":
        return {"fields": request.form.to_dict(flat=False), "files": [_part(*item) for item in _files()]}
    if request.mimetype and not request.mimetype.endswith("json"):
        return request.get_data()
    return cast(ApiRequest, request).json_body().value


def _files() -> Iterator[tuple[str, FileStorage]]:
    return iter(request.files.items(multi=True))


def _part(name: str, file: FileStorage) -> list[str]:
    digest = hashlib.sha256(file.stream.read()).hexdigest()
    file.stream.seek(0)
    return [name, file.filename or "", digest]


def _once(view: Callable[[], Response], call: Call) -> Response:
    session, now = context.session(), context.now()
    with idempotency.running(session, call):
        stored = idempotency.recall(session, call, now)
        if stored is not None:
            return _replayed(stored)
        try:
            with session.begin_nested():
                response = view()
        except DispatchError as refusal:
            if not _is_kept(refusal):
                raise
            response = problem(refusal)
            g.keep_refusal = True
            g.pop("after_commit", None)
        if response.status_code < 400 or g.get("keep_refusal"):
            idempotency.remember(session, call, _stored(response), now)
    return response


def _is_kept(refusal: DispatchError) -> bool:
    if refusal.status in _NOT_KEPT or refusal.status >= 500:
        return False
    return not (isinstance(refusal, Invalid) and refusal.code == Invalid.default_code)


def _stored(response: Response) -> StoredAnswer:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return StoredAnswer(response.status_code, headers, response.get_data())


def _replayed(stored: StoredAnswer) -> Response:
    return Response(stored.body, stored.status, {**stored.headers, REPLAYED: "true"})
