"""Tokens of links that customers get. A tracking token is derived from the server's secret, the appointment
and a revision, so that the link can be sent again although only its SHA-256 is stored, and revoked by
raising the revision."""

import base64
import hashlib
import hmac

from sqlmodel import Session, select

from dispatch.appointment import Appointment
from dispatch.settings import Settings

TOKEN_BYTES = 24
"""192 bits."""


def tracking_token(settings: Settings, appointment: Appointment) -> str:
    """The token of the appointment's link, the same every time until it is revoked."""
    message = f"tracking/{appointment.id}/{appointment.tracking_revision}".encode()
    digest = hmac.digest(settings.secret.get_secret_value().encode(), message, "sha256")
    return base64.urlsafe_b64encode(digest[:TOKEN_BYTES]).decode()


def tracking_url(settings: Settings, appointment: Appointment) -> str:
    return f"{settings.public_url}/t/{tracking_token(settings, appointment)}"


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
