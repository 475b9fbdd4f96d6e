"""Whether this process lives, and whether it can serve."""

from typing import Literal

from flask import Response

from api import context
from api.auth import PUBLIC, allow
from api.openapi import resource
from api.render import answer
from api.schemas import Answer
from dispatch.database import is_up_to_date
from dispatch.errors import Unavailable

operations = resource("operations", "Whether the installation works.", url_prefix="")


class Health(Answer):
    """It works."""

    status: Literal["ok"] = "ok"


@operations.get("/healthz", summary="Is this process alive?", responses={200: Health})
@allow(PUBLIC)
def healthz() -> Response:
    """Asks nothing of anything else."""
    return answer(Health())


@operations.get("/readyz", summary="Can it serve?", responses={200: Health})
@allow(PUBLIC)
def readyz() -> Response:
    """Asks the database, and whether its tables are those of this version."""
    if not is_up_to_date(context.session()):
        raise Unavailable("not_migrated", "The database needs `dispatch db upgrade`.", retry_after_s=30)
    return answer(Health())
