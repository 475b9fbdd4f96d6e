"""A customer's answer to a reminder."""

from datetime import timedelta

import pytest
from sqlmodel import select

from dispatch import booking, confirming
from dispatch.appointment import Appointment
from dispatch.errors import AnswerOutdated, InvalidState, NotFound, SlotTaken
from dispatch.events import Actor, events_of
from dispatch.links import Action, action_token, tracking_token
from dispatch.outbox import Kind, Notification
from dispatch.slots import slots_for
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, World

CUSTOMER = Actor("public")


def booked(world: World) -> Appointment:
    world.technician()
    job = world.job(world.service())
    slot = slots_for(world.session, world.settings, job, TOMORROW, TOMORROW, NOW, None).items[0]
    return booking.book(world.session, world.settings, job.appointment, slot.slot_id, DISPATCHER, NOW)


def tokens(world: World, appointment: Appointment, action: Action) -> tuple[str, str]:
    return tracking_token(world.settings, appointment), action_token(world.settings, appointment, action)


def confirm(world: World, pair: tuple[str, str], hours: float = 1) -> Appointment:
    now = NOW + timedelta(hours=hours)
    return confirming.confirm_presence(world.session, world.settings, *pair, CUSTOMER, now)


def test_a_customer_confirms_once_and_it_is_on_the_record(world: World) -> None:
    appointment = booked(world)
    pair = tokens(world, appointment, "confirm")

    first = confirm(world, pair).customer_confirmed_at
    confirm(world, pair, hours=2)

    assert appointment.customer_confirmed_at == first == NOW + timedelta(hours=1)
    types = [event.type for event in events_of(world.session, appointment.id)]
    assert types.count("appointment.confirmed_by_customer") == 1


def test_a_visit_that_moves_has_to_be_confirmed_anew_and_the_old_link_does_not_do_it(world: World) -> None:
    appointment = booked(world)
    pair = tokens(world, appointment, "confirm")
    confirm(world, pair)
    move(world, appointment)

    assert appointment.customer_confirmed_at is None
    with pytest.raises(AnswerOutdated):
        confirm(world, pair)
    assert confirm(world, tokens(world, appointment, "confirm")).customer_confirmed_at is not None


def move(world: World, appointment: Appointment) -> None:
    now, pair = NOW + timedelta(minutes=5), tokens(world, appointment, "move")
    slots = confirming.other_times(world.session, world.settings, *pair, now).items
    other = next(slot for slot in slots if slot.start != appointment.window_start)
    confirming.move_visit(world.session, world.settings, *pair, other.slot_id, CUSTOMER, now)


def test_a_customer_moves_the_visit_by_the_link_and_is_told_the_new_time(world: World) -> None:
    appointment = booked(world)
    before = appointment.window_start

    move(world, appointment)

    assert appointment.window_start != before
    kinds = [row.kind for row in world.session.exec(select(Notification)).all()]
    assert Kind.CHANGED in kinds
    (moved,) = [e for e in events_of(world.session, appointment.id) if e.type == "appointment.rescheduled"]
    assert moved.by == "public"


def test_tokens_serve_one_purpose_of_one_visit_until_its_window_ends(world: World) -> None:
    appointment = booked(world)
    link, to_confirm = tokens(world, appointment, "confirm")
    _, to_move = tokens(world, appointment, "move")

    for token in (to_move, "", ".", to_confirm[:-1], f"{to_confirm}x", "é"):
        with pytest.raises(AnswerOutdated):
            confirm(world, (link, token))
    with pytest.raises(AnswerOutdated):
        confirming.other_times(world.session, world.settings, link, to_confirm, NOW)
    with pytest.raises(NotFound):
        confirm(world, ("wrong", to_confirm))
    with pytest.raises(AnswerOutdated):
        confirm(world, (link, to_confirm), hours=48)
    assert appointment.customer_confirmed_at is None


def test_a_cancelled_visit_cannot_be_confirmed_or_moved(world: World) -> None:
    appointment = booked(world)
    to_confirm, to_move = tokens(world, appointment, "confirm"), tokens(world, appointment, "move")
    booking.cancel(world.session, world.settings, appointment, DISPATCHER, NOW)

    with pytest.raises(InvalidState):
        confirm(world, to_confirm)
    with pytest.raises(InvalidState):
        confirming.other_times(world.session, world.settings, *to_move, NOW)


def test_a_time_that_is_taken_meanwhile_leaves_the_promise_as_it_was(world: World) -> None:
    appointment = booked(world)
    pair = tokens(world, appointment, "move")
    before = appointment.window_start, appointment.promise_revision
    slots = confirming.other_times(world.session, world.settings, *pair, NOW).items
    last = max(slots, key=lambda slot: slot.start)
    fill(world)

    with pytest.raises(SlotTaken), world.session.begin_nested():
        confirming.move_visit(world.session, world.settings, *pair, last.slot_id, CUSTOMER, NOW)

    assert (appointment.window_start, appointment.promise_revision) == before


def fill(world: World) -> None:
    """Books until nothing is left of tomorrow."""
    service = world.service(hours=2)
    while True:
        job = world.job(service)
        items = slots_for(world.session, world.settings, job, TOMORROW, TOMORROW, NOW, None).items
        if not items:
            return
        last = max(items, key=lambda slot: slot.start)
        booking.book(world.session, world.settings, job.appointment, last.slot_id, DISPATCHER, NOW)
