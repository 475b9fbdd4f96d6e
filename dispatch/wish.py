"""What a dispatcher wants of a visit, when it could be had, and the calendars that have to be read for it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import Session

from dispatch.asking import window_of
from dispatch.booking import promised_window
from dispatch.calendar import CalendarBlock
from dispatch.errors import SlotTaken
from dispatch.forced_day import less, longer_hours
from dispatch.placing import ahead_of, take_out
from dispatch.planning import Job, Window, WorkingDay, is_routed, load_standing, range_of
from dispatch.pricing import NO_CHANGE, Change, change_between
from dispatch.settings import Settings
from dispatch.shift import WorkingTime
from dispatch.standing import SHIFT_BEFORE
from dispatch.technician import Engagement, Technician
from dispatch.territory import Territory
from dispatch.violations import Violation, off_request, off_window, too_late
from optimizer import TimeWindow


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom a person wants for a visit. start: of the work; by default the cheapest in the window. window: to promise
    instead of what is promised. force: whether rules may be broken. by_phone: the technician has said yes already."""

    technician: Technician
    engagement: Engagement
    start: datetime | None = None
    window: Window | None = None
    force: bool = False
    by_phone: bool = False


def is_in(at: datetime, window: Window) -> bool:
    """Both ends belong to it."""
    return window[0] <= at <= window[1]


@dataclass(frozen=True, slots=True)
class Question:
    """A wish, and when it may be met."""

    session: Session
    settings: Settings
    job: Job
    wish: Wish
    now: datetime
    really: bool

    @property
    def technician_no(self) -> int:
        assert self.wish.technician.no is not None
        return self.wish.technician.no

    @property
    def zone(self) -> ZoneInfo:
        territory = self.session.get_one(Territory, self.job.appointment.territory_id)
        return ZoneInfo(territory.time_zone)

    @property
    def promise(self) -> Window | None:
        """What is promised once the wish is met; None where that follows from the start."""
        appointment = self.job.appointment
        return self.wish.window or (promised_window(appointment) if appointment.is_promised else None)

    @property
    def wanted(self) -> Window | None:
        """When the work may start; None where that is over."""
        if self.wish.start is not None:
            return self.wish.start, self.wish.start
        try:
            return ahead_of(self.wish.window or window_of(self.session, self.job), self.now)
        except SlotTaken:
            return None

    @property
    def at_place(self) -> tuple[TimeWindow, ...]:
        assert self.wanted is not None
        return self.job.windows_at_place([self.wanted])

    @property
    def range_(self) -> Window:
        assert self.wanted is not None
        begin, end = range_of([self.wanted], self.zone)
        return begin - SHIFT_BEFORE, end

    def violations(self) -> tuple[Violation, ...]:
        """Those that the wish has in itself."""
        start, window = self.wish.start, self.wish.window
        found = list(off_request(self.job, window)) if window is not None else []
        if start is not None:
            found += off_window(self.job, start, self.promise)
        last = start or (window or window_of(self.session, self.job))[1]
        return tuple([*found, too_late(self.now, last)] if last < self.now else found)

    def read(self, times: list[WorkingTime] | None = None) -> WorkingDay:
        assert self.wanted is not None
        return load_standing(
            self.session,
            self.settings,
            self.job.appointment.organization_id,
            self.range_,
            asking=self.job,
            windows=[self.wanted],
            technician_nos=[self.technician_no],
            lock=self.really,
            times=None if times is None else {self.technician_no: times},
        )

    def read_apart(self) -> tuple[Change, WorkingDay]:
        """What it means to take the visit out of where else it stands, and the technician's day."""
        day, id_ = self.read(), self.job.appointment.id
        block = day.blocks.get(id_)
        if block is None or is_routed(day, id_):
            return NO_CHANGE, day
        change = self._price_of_leaving(block)
        if self.really:
            take_out(self.session, self.settings, self.job.appointment.organization_id, block)
            day = self.read()
        return change, day

    def _price_of_leaving(self, block: CalendarBlock) -> Change:
        range_ = (datetime.fromtimestamp(block.work_from, UTC), datetime.fromtimestamp(block.busy_to, UTC))
        organization_id = self.job.appointment.organization_id
        day = load_standing(
            self.session, self.settings, organization_id, range_, technician_nos=[block.technician_no]
        )
        left = less(day.plan, {self.job.appointment.id})
        return change_between(day.problem, day.plan, left, not_ours(day))

    def longer(self, day: WorkingDay, *, breaks: bool) -> list[WorkingTime]:
        """The technician's hours of the day, made so long that the visit could be made in them."""
        assert self.wanted is not None
        times = sorted(day.hours.values(), key=lambda time: time.starts_at)
        begin = self.wanted[0] - timedelta(seconds=self.job.service.buffer_before_s)
        end = begin + (self.wanted[1] - self.wanted[0]) + timedelta(seconds=self.job.service.at_place_s)
        return longer_hours(times, self.technician_no, begin, end, breaks=breaks)


def not_ours(day: WorkingDay) -> set[str]:
    """What takes the time without being a visit of ours: the same beside which slots and candidates are rounded."""
    return {id_ for id_ in day.blocks if id_ not in day.jobs}
