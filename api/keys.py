"""Keys: whoever calls with one may exchange it."""

from flask import Response

from api import context
from api.auth import allow
from api.openapi import resource
from api.render import answer
from api.schemas import Answer, Instant
from dispatch import keys as key_rules

keys = resource("keys", "The keys by which callers are known.")


class KeyOut(Answer):
    """A key as it is listed: its beginning, never the whole."""

    id: str
    prefix: str
    role: str
    created_at: Instant
    last_used_at: Instant | None
    expires_at: Instant | None


class RotatedKey(Answer):
    """The new key. `api_key` is shown this once."""

    api_key: str
    key: KeyOut


@keys.post("/keys/rotate", summary="Exchange my key", responses={200: RotatedKey})
@allow("dispatcher", "integration", "technician", "customer", replays_to_former=True)
def rotate() -> Response:
    """The key that this is called with opens nothing from now on. With an Idempotency-Key of 32 characters or more, a
    lost answer can be had again with the old key for 24 hours."""
    key, plaintext = key_rules.rotate(context.session(), context.principal(), context.now())
    return answer(RotatedKey(api_key=plaintext, key=KeyOut.model_validate(key)))
