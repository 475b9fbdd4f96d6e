"""Tokens of links that customers and technicians get, and codes. A tracking token is derived from the server's secret,
the appointment and a revision, so that the link can be sent again although only its SHA-256 is stored, and revoked by
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
ACTION_TOKEN_BYTES = 16
"""128 bits, beside the tracking token that goes with it: texts are short."""

PROOF_CODE_DIGITS = 6
"""Read out by one person and typed by another."""

Action = Literal["confirm", "move"]
"""To say that somebody will be there; to choose another time."""


def tracking_token(settings: Settings, appointment: Appointment) -> str:
    """The token of the appointment's link, the same every time until it is revoked."""
    message = f"tracking/{appointment.id}/{appointment.tracking_revision}"
    return _signature(settings, message, TOKEN_BYTES)


def _signature(settings: Settings, message: str, length: int) -> str:
    digest = hmac.digest(settings.secret.get_secret_value().encode(), message.encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:length]).decode().rstrip("=")


def proof_code(settings: Settings, appointment: Appointment) -> str:
    """What the customer tells the technician at the door; another for each promise."""
    message = f"proof/{appointment.id}/{appointment.promise_revision}"
    digest = hmac.digest(settings.secret.get_secret_value().encode(), message.encode(), "sha256")
    return f"{int.from_bytes(digest) % 10**PROOF_CODE_DIGITS:0{PROOF_CODE_DIGITS}}"


def tracking_url(settings: Settings, appointment: Appointment) -> str:
    return f"{settings.public_url}/t/{tracking_token(settings, appointment)}"


def action_token(settings: Settings, appointment: Appointment, action: Action) -> str:
    """Lets whoever has it and the tracking link do this, until the promised window ends or the promise moves."""
    revisions = f"{appointment.tracking_revision}/{appointment.promise_revision}"
    return _signature(settings, f"{action}/{appointment.id}/{revisions}", ACTION_TOKEN_BYTES)


def permits(settings: Settings, appointment: Appointment, action: Action, token: str, now: datetime) -> bool:
    """Whether the token is one of the appointment's, for this and for the present promise, and not over."""
    if appointment.window_end is None or now > appointment.window_end:
        return False
    wanted = action_token(settings, appointment, action)
    return hmac.compare_digest(wanted.encode(), token.encode())


def action_url(settings: Settings, appointment: Appointment, action: Action) -> str:
    """The page that asks, for the message that offers it in one tap."""
    return f"{tracking_url(settings, appointment)}/{action}?k={action_token(settings, appointment, action)}"


def calendar_token(settings: Settings, technician_id: str, revision: int) -> str:
    """The token of a technician's calendar feed, the same every time until it is renewed."""
    return _signature(settings, f"calendar/{technician_id}/{revision}", TOKEN_BYTES)


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
