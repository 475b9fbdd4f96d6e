import pytest
from sqlalchemy.exc import IntegrityError

from dispatch.calendar import CalendarMoved, blocks_between, claim, rewrite
from tests.dispatch.world import World


@pytest.mark.parametrize(("begin", "end"), [(100, 200), (150, 160), (50, 101), (199, 300), (50, 300)])
def test_the_database_itself_refuses_two_places_at_once(world: World, begin: int, end: int) -> None:
    technician = world.technician()
    world.session.add(world.block(technician, 100, 200))
    world.session.flush()

    world.session.add(world.block(technician, begin, end))

    with pytest.raises(IntegrityError, match="ex_calendar_block_busy"):
        world.session.flush()


def test_the_database_itself_refuses_an_update_into_two_places(world: World) -> None:
    technician = world.technician()
    early, late = world.block(technician, 100, 200), world.block(technician, 300, 400)
    world.session.add_all([early, late])
    world.session.flush()

    late.busy_from = 199

    with pytest.raises(IntegrityError, match="ex_calendar_block_busy"):
        world.session.flush()


def test_blocks_may_touch_and_other_technicians_are_free(world: World) -> None:
    ada, bo = world.technician("Ada"), world.technician("Bo")

    world.session.add_all([world.block(ada, 100, 200), world.block(ada, 200, 300), world.block(bo, 100, 300)])
    world.session.flush()

    assert ada.no is not None
    assert [b.busy_from for b in blocks_between(world.session, [ada.no], 0, 1000)] == [100, 200]


def test_a_rewrite_may_swap_what_it_clears(world: World) -> None:
    technician = world.technician()
    first, second = world.block(technician, 100, 200), world.block(technician, 200, 300)
    rewrite(world.session, [], [first, second])

    rewrite(
        world.session,
        [first, second],
        [world.block(technician, 100, 250), world.block(technician, 250, 300)],
    )

    assert technician.no is not None
    assert [b.busy_to for b in blocks_between(world.session, [technician.no], 0, 1000)] == [250, 300]


def test_a_rewrite_that_collides_costs_no_more_than_its_savepoint(world: World) -> None:
    technician = world.technician()
    rewrite(world.session, [], [world.block(technician, 100, 200)])

    with pytest.raises(CalendarMoved), world.session.begin_nested():
        rewrite(world.session, [], [world.block(technician, 150, 250)])

    assert technician.no is not None
    assert len(blocks_between(world.session, [technician.no], 0, 1000)) == 1


def test_a_calendar_is_claimed_once_for_the_version_that_was_read(world: World) -> None:
    technician = world.technician()
    version = technician.calendar_version

    claim(world.session, technician, version)

    assert technician.calendar_version == version + 1
    with pytest.raises(CalendarMoved):
        claim(world.session, technician, version)
