"""Tokens of links that customers get. A tracking token is derived from the server's secret, the appointment
and a revision, so that the link can be sent again although only its SHA-256 is stored, and revoked by
raising the revision.

The link of a message that does something (`Action`) is the tracking link with a second token, which is bound to one
promise and ends with its window. It opens a page that asks; only what the page sends changes anything."""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Literal

from sqlmodel import Session, select

from dispatch.appointment import Appointment
from dispatch.settings import Settings

TOKEN_BYTES = 24
"""192 bits."""

Action = Literal["confirm", "move"]
"""To say that somebody will be there; to choose another time."""


def tracking_token(settings: Settings, appointment: Appointment) -> str:
    """The token of the appointment's link, the same every time until it is revoked."""
    message = f"tracking/{appointment.id}/{appointment.tracking_revision}".encode()
    return _signature(settings, message)


def _signature(settings: Settings, message: bytes) -> str:
    digest = hmac.digest(settings.secret.get_secret_value().encode(), message, "sha256")
    return base64.urlsafe_b64encode(digest[:TOKEN_BYTES]).decode()


def tracking_url(settings: Settings, appointment: Appointment) -> str:
    return f"{settings.public_url}/t/{tracking_token(settings, appointment)}"


def action_token(settings: Settings, appointment: Appointment, action: Action) -> str:
    """Lets whoever has it and the tracking link do this, until the promised window ends or the promise moves."""
    assert appointment.window_end is not None
    return _action_token(settings, appointment, action, int(appointment.window_end.timestamp()))


def _action_token(settings: Settings, appointment: Appointment, action: Action, until: int) -> str:
    revisions = f"{appointment.tracking_revision}/{appointment.promise_revision}"
    message = f"{action}/{appointment.id}/{revisions}/{until}".encode()
    return f"{until:x}.{_signature(settings, message)}"


def permits(settings: Settings, appointment: Appointment, action: Action, token: str, now: datetime) -> bool:
    """Whether the token is one of the appointment's, for this and for the present promise, and not over."""
    try:
        until = int(token.partition(".")[0], 16)
    except ValueError:
        return False
    wanted = _action_token(settings, appointment, action, until)
    return hmac.compare_digest(wanted.encode(), token.encode()) and now.timestamp() <= until


def action_url(settings: Settings, appointment: Appointment, action: Action) -> str:
    """The page that asks, for the message that offers it in one tap."""
    return f"{tracking_url(settings, appointment)}/{action}?k={action_token(settings, appointment, action)}"


def open_tracking(settings: Settings, appointment: Appointment) -> None:
    """From now on the link answers."""
    appointment.tracking_hash = hashed(tracking_token(settings, appointment))
    appointment.tracking_revoked = False


def revoke_tracking(appointment: Appointment) -> None:
    """The link answers no more; a later promise opens a new one."""
    appointment.tracking_revision += 1
    appointment.tracking_revoked = True
    appointment.tracking_hash = None
    appointment.version += 1


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def appointment_by_token(session: Session, token: str) -> Appointment | None:
    """None for a wrong or revoked token."""
    return session.exec(select(Appointment).where(Appointment.tracking_hash == hashed(token))).first()
