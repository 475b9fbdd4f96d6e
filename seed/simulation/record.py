"""What became of each call, as the world saw it."""

from dataclasses import dataclass, field

from seed.calls import Call


@dataclass(slots=True)
class Record:
    """One call with one who dispatches. asked_at: the first technician. answered_at: when the customer was told a
    window. is_chosen: by the customer, of several. committed_at: the technician's yes that held. began_at: when work
    began, or when nobody opened. way_s, way_m: as it really was. pay_cents: what was agreed."""

    call: Call
    asked_at: int | None = None
    answered_at: int | None = None
    window: tuple[int, int] | None = None
    is_chosen: bool = False
    committed_at: int | None = None
    person: str | None = None
    pay_cents: int = 0
    began_at: int | None = None
    ended_at: int | None = None
    is_closed: bool = False
    gave_up: bool = False
    way_s: int = 0
    way_m: int = 0

    @property
    def is_served(self) -> bool:
        return self.ended_at is not None and not self.is_closed

    @property
    def late_s(self) -> int | None:
        """How long after its window the technician was at the door; None where nobody was."""
        if self.began_at is None or self.window is None:
            return None
        return max(0, self.began_at - self.window[1])


@dataclass(slots=True)
class Asked:
    """How offers ended: of those sent by the API, or of the telephone calls made."""

    sent: int = 0
    accepted: int = 0
    declined: int = 0
    expired: int = 0
    superseded: int = 0


@dataclass(slots=True)
class Story:
    """A day with one who dispatches. home_m, home_s: ways home at the end of the day, by person. active_s: at work, on
    the way and before closed doors, by person."""

    records: dict[str, Record]
    asked: Asked = field(default_factory=Asked)
    home_m: dict[str, int] = field(default_factory=dict)
    active_s: dict[str, int] = field(default_factory=dict)
