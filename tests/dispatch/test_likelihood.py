"""A window is shown to customers only if it is likely enough that somebody comes: who is employed is sent, a freelancer
is asked and may decline."""

from dispatch import booking
from dispatch.planning import Job
from dispatch.slots import UNLIKELY, Slots, find_slots
from dispatch.technician import Kind
from tests.dispatch.market import LOW, POOR, USUAL, paid
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, World


def slots(world: World, job: Job) -> Slots:
    return find_slots(world.session, world.settings, job, TOMORROW, TOMORROW, NOW)


def test_one_freelancer_at_the_usual_pay_is_enough(market: World) -> None:
    paid(market, market.technician(), USUAL)

    assert slots(market, market.job(market.service())).items


def test_one_who_will_hardly_accept_is_not_enough_and_the_answer_says_so(market: World) -> None:
    paid(market, market.technician(), POOR)

    found = slots(market, market.job(market.service()))

    assert found.items == ()
    assert UNLIKELY in found.reasons


def test_before_answers_have_taught_anything_no_customer_is_sent_away(world: World) -> None:
    paid(world, world.technician(), USUAL)
    paid(world, world.technician("Painter", skills={"painting": 3}), 20 * USUAL)

    assert slots(world, world.job(world.service())).items


def test_who_is_employed_is_not_asked(market: World) -> None:
    paid(market, market.technician(kind=Kind.EMPLOYEE), POOR)

    assert slots(market, market.job(market.service())).items


def test_several_who_may_accept_are_enough_together(market: World) -> None:
    job = market.job(market.service())
    paid(market, market.technician("Ada"), LOW)
    assert slots(market, job).items == ()

    paid(market, market.technician("Bob"), LOW)

    assert slots(market, job).items


def test_the_same_person_on_two_shifts_is_one_chance(market: World) -> None:
    twice = paid(market, market.technician(hours=None), LOW)
    for begin, end in ((8, 12), (12, 16)):
        market.shift(twice, begin, end)

    assert slots(market, market.job(market.service())).items == ()


def test_only_the_windows_in_doubt_are_withheld(market: World) -> None:
    paid(market, market.technician("All day", hours=(8, 16)), POOR)
    paid(market, market.technician("Mornings", hours=(8, 12), kind=Kind.EMPLOYEE), USUAL)
    job = market.job(market.service())

    items = slots(market, job).items

    assert items
    lenient = replace_wanted(market, 0.01)
    assert {slot.start for slot in items} < {slot.start for slot in slots(lenient, job).items}


def test_the_wanted_chance_is_a_setting(market: World) -> None:
    paid(market, market.technician(), POOR)

    assert slots(replace_wanted(market, 0.2), market.job(market.service())).items


def test_what_was_offered_is_booked_though_chances_fell_since(market: World) -> None:
    technician = paid(market, market.technician(), USUAL)
    job = market.job(market.service())
    chosen = slots(market, job).items[0]
    paid(market, technician, POOR)

    booked = booking.book(market.session, market.settings, job.appointment, chosen.slot_id, DISPATCHER, NOW)

    assert booked.technician_no == technician.no


def replace_wanted(world: World, wanted: float) -> World:
    world.settings = world.settings.model_copy(update={"wanted_chance": wanted})
    return world
