"""Strong ETags of single resources, from their version: one writer does not undo another unseen."""

from flask import request
from werkzeug.http import parse_etags, quote_etag

from dispatch.errors import PreconditionRequired, StaleVersion


def etag_of(version: int | str) -> str:
    """The header's value for a resource of this version."""
    return quote_etag(f"v{version}")


def require_match(version: int | str, *, required: bool = True) -> None:
    """Compares `If-Match` with the version that stands. Raises `StaleVersion` where it names another, and
    `PreconditionRequired` where it is absent and `required`. To be called after the caller's right to the
    resource is known."""
    header = request.headers.get("If-Match")
    if header is None:
        if required:
            raise PreconditionRequired
        return
    named = parse_etags(header)
    if not named.star_tag and not named.contains(f"v{version}"):
        raise StaleVersion(headers={"ETag": etag_of(version)})
