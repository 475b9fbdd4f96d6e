"""The messages of a real visit, as customers read them in each language."""

import math
from dataclasses import dataclass
from datetime import timedelta
from unicodedata import bidirectional

import pytest
from sqlmodel import select

from dispatch import booking, notifying
from dispatch.appointment import Appointment, Status
from dispatch.channels import Message
from dispatch.customer import Channel, Customer
from dispatch.outbox import Kind, Notification, State, commitment
from dispatch.promise import PromiseKind
from dispatch.settings import Settings
from dispatch.wording import LANGUAGES, wording
from tests.dispatch.world import DISPATCHER, NOW, ZONE, World, clock_time

PUBLIC_URL = "https://visits.acme.example"
WINDOW = clock_time(9), clock_time(13)
DURING = clock_time(8, 50)
STATUS = {
    Kind.CANCELLED: Status.CANCELLED,
    Kind.ON_THE_WAY: Status.EN_ROUTE,
    Kind.ARRIVED: Status.ON_SITE,
    Kind.DONE: Status.COMPLETED,
    Kind.RATE_US: Status.COMPLETED,
}
"""In which the visit is when it is told; dispatched for the others."""
NAMES = {
    "en": ("Acme Plumbing", "Leak repair", "Ada Byron"),
    "de": ("Müller Haustechnik", "Rohrreparatur", "Jörg Weiß"),
    "es": ("Plomeros Acme", "Arreglo de fugas", "Inés Vega"),
    "pl": ("Hydraulik Kowalski", "Naprawa przecieku", "Łukasz Zięba"),
    "ru": ("Сантехник Плюс", "Устранение протечки", "Дмитрий Орлов"),
    "fa": ("Acme Plumbing", "Leak repair", "Ada Byron"),
    "zh": ("安居维修", "管道维修", "王伟"),
}
"""Of the organization, the service and the technician."""
GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The alphabet of 7 bits (3GPP TS 23.038, 6.2.1)."""
SEGMENTS = {
    "en": (2, 2, 1, 3, 3, 2, 1, 2, 1, 1, 1),
    "de": (2, 3, 2, 3, 3, 2, 2, 2, 1, 1, 2),
    "es": (2, 2, 1, 3, 3, 2, 2, 2, 1, 1, 1),
    "pl": (5, 5, 3, 5, 5, 5, 3, 3, 1, 2, 3),
    "ru": (5, 5, 3, 5, 5, 5, 3, 3, 1, 1, 3),
    "fa": (5, 5, 3, 5, 5, 5, 3, 3, 1, 1, 3),
    "zh": (4, 4, 2, 4, 4, 4, 2, 2, 1, 1, 2),
}
"""By language, of each kind in the order of `Kind`: as how many texts a provider counts it. Outside the alphabet of 7
bits a text holds 70 characters instead of 160; most of what is counted are the links."""
TO_COME = (Kind.BOOKED, Kind.CHANGED, Kind.DAY_BEFORE, Kind.ON_THE_DAY, Kind.TECHNICIAN_CONFIRMED)


@dataclass
class Visit:
    """To a customer of tomorrow morning."""

    world: World
    appointment: Appointment
    settings: Settings

    def told(self, kind: Kind, language: str) -> Message:
        """As it leaves for a customer with a phone."""
        session, appointment = self.world.session, self.appointment
        customer = session.exec(select(Customer)).one()
        customer.language, customer.phone, customer.preferred_channel = language, "+12125550123", Channel.SMS
        appointment.status = STATUS.get(kind, Status.DISPATCHED)
        row = Notification(
            organization_id=appointment.organization_id,
            appointment_id=appointment.id,
            kind=kind,
            occasion=commitment(appointment) if kind is Kind.TECHNICIAN_CONFIRMED else kind.value,
            revision=appointment.promise_revision,
            due_at=DURING,
            state=State.PENDING,
            attempts=1,
            expected_at=WINDOW[1] + timedelta(minutes=62),
            created_at=NOW,
        )
        at = NOW if kind is Kind.DAY_BEFORE else DURING
        session.flush()
        prepared = notifying.prepare(session, self.settings, frozenset({Channel.SMS}), row, at)
        assert isinstance(prepared, list), prepared
        return prepared[0]


@pytest.fixture
def visit(world: World, request: pytest.FixtureRequest) -> Visit:
    organization, service, technician = NAMES[request.getfixturevalue("language")]
    world.organization.name = organization
    who = world.technician(technician)
    appointment = world.job(world.service(name=service)).appointment
    settings = world.settings.model_copy(update={"public_url": PUBLIC_URL})
    booking.promise(world.session, settings, appointment, WINDOW, PromiseKind.GIVEN, DISPATCHER, NOW)
    assert who.no is not None
    appointment.plan(who.no, WINDOW[0], WINDOW[0] + timedelta(hours=1), 600, 1000)
    return Visit(world, appointment, settings)


def segments(text: str) -> int:
    """How many texts a provider counts (3GPP TS 23.038 and 23.040: a part of several has a header)."""
    if set(text) <= GSM:
        return 1 if len(text) <= 160 else math.ceil(len(text) / 153)
    units = len(text.encode("utf-16-be")) // 2
    return 1 if units <= 70 else math.ceil(units / 67)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_costs_few_texts(visit: Visit, language: str) -> None:
    counted = tuple(segments(visit.told(kind, language).body) for kind in Kind)

    assert counted == SEGMENTS[language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_says_who_sends_it(visit: Visit, language: str) -> None:
    organization = NAMES[language][0]

    assert all(organization in visit.told(kind, language).body for kind in Kind)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_to_come_says_when_it_is_and_how_to_change_it(visit: Visit, language: str) -> None:
    words = wording(language)
    when = [words.day(WINDOW[0], ZONE), words.window(*WINDOW, ZONE)]

    for kind in TO_COME:
        told = visit.told(kind, language)
        assert all(part in told.body for part in when), kind
        assert f"{words.line('move')}\n{PUBLIC_URL}/t/" in told.body, kind
    cancelled = visit.told(Kind.CANCELLED, language).body
    assert all(part in cancelled for part in when)
    assert cancelled.endswith(f"{words.line('rebook')}\n{PUBLIC_URL}/book/acme")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_happens_now_says_when_to_expect_it_and_where_to_follow_it(visit: Visit, language: str) -> None:
    words = wording(language)
    expected = {
        Kind.ON_THE_WAY: words.window(WINDOW[0], WINDOW[0] + timedelta(minutes=10), ZONE),
        Kind.RUNNING_LATE: words.time(WINDOW[1] + timedelta(minutes=65), ZONE),
    }

    for kind, when in expected.items():
        told = visit.told(kind, language).body
        assert when in told, kind
        assert f"{words.line('follow')}\n{PUBLIC_URL}/t/" in told, kind


@pytest.mark.parametrize("language", LANGUAGES)
def test_links_stand_alone_and_text_begins_in_its_own_direction(visit: Visit, language: str) -> None:
    own = {"rtl": ("R", "AL"), "ltr": ("L",)}[wording(language).direction]

    for kind in Kind:
        told = visit.told(kind, language)
        for line in told.body.splitlines():
            assert line.startswith("https://") or "https://" not in line
        for text in (told.subject, told.body):
            strong = [of for of in map(bidirectional, text) if of in ("L", "R", "AL")]
            assert strong[0] in own, text
            assert text.count("\u2068") == text.count("\u2069")
