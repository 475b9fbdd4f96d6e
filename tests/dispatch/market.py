"""What an hour is worth where answers to offers have taught it."""

from dispatch.technician import Technician, engagement_of
from tests.dispatch.world import World

USUAL, POOR, LOW = 8000, 800, 2400
"""Cents for an hour: the usual, a tenth of it (accepted with about 0.3), less than a third (about 0.8)."""


def paid(world: World, technician: Technician, per_hour_cents: int) -> Technician:
    engagement_of(world.session, technician, world.organization.id).pay_per_hour_cents = per_hour_cents
    world.session.flush()
    return technician
