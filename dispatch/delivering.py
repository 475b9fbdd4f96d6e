"""Delivering webhooks: takes up what is due, sends it in threads, and notes what came of it.

At least once: a row is taken up in a transaction that makes it due again later, sent outside any transaction, and then
marked; who is killed between leaves it to be sent again. An endpoint is sent a few at a time, so that one that is slow
keeps nobody else waiting. In which order events arrive is not promised."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Engine
from sqlmodel import Session, col, select

from dispatch.database import available, open_session, transaction
from dispatch.settings import Settings
from dispatch.webhook import (
    MOST_ATTEMPTS,
    DeliveryStatus,
    DisabledWhy,
    WebhookDelivery,
    WebhookEndpoint,
)
from dispatch.webhook_address import Resolver, resolve
from dispatch.webhook_sending import Attempt, Result, Sender

THREADS = 16
AT_ONCE = 4
"""To one endpoint."""
LEASE = timedelta(minutes=2)
"""So long somebody may take to send: looking up a name, connecting to three addresses, and the longest time-out."""
LOOK_AGAIN_S = 0.5
"""What falls due meanwhile is seen so soon, although others are still being sent."""
GONE = 410
log = structlog.get_logger(__name__)


class Deliverer:
    """Sends with threads of its own. Several may run, in this process and in others."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        clock: Callable[[], datetime],
        resolver: Resolver = resolve,
    ) -> None:
        self._engine, self._clock = engine, clock
        self._sender = Sender(settings, resolver)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="webhook")
        self._flying: dict[Future[Result], Attempt] = {}
        self._last = ""

    def send_due(self, goes_on: Callable[[], bool] = lambda: True) -> int:
        """Sends what is due for as long as `goes_on`, and waits for what it has begun; gives back how many were
        taken."""
        taken = 0
        while self._flying or (goes_on() and self._is_any_due()):
            ended = self._ended()
            free = THREADS - len(self._flying) if goes_on() else 0
            if not ended and not (free and self._is_any_due()):
                continue
            with transaction(self._engine) as session:
                now = self._clock()
                settle(session, ended, now)
                busy = Counter(attempt.endpoint_id for attempt in self._flying.values())
                begun = take_up(session, now, free, busy, after=self._last)
            taken += sum(result.error is None for _, result in ended)
            self._begin(begun)
        return taken

    def close(self) -> None:
        """Waits for what is being sent."""
        self._threads.shutdown()

    def _begin(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            self._flying[self._threads.submit(self._sender.send, attempt, self._clock())] = attempt
            self._last = attempt.endpoint_id

    def _ended(self) -> list[tuple[Attempt, Result]]:
        """What has come back, once anything has."""
        done = wait(self._flying, LOOK_AGAIN_S, FIRST_COMPLETED).done
        return [(self._flying.pop(future), future.result()) for future in done]

    def _is_any_due(self) -> bool:
        """Asked without a lock: mostly there is nothing."""
        busy = Counter(attempt.endpoint_id for attempt in self._flying.values())
        with available(), open_session(self._engine, read_only=True) as session:
            return bool(_endpoints_due(session, self._clock(), busy))


def take_up(
    session: Session, now: datetime, limit: int, busy: Mapping[str, int], after: str = ""
) -> list[Attempt]:
    """What the caller is to send within the lease, `limit` at most. busy: how many it is sending to which endpoints
    already. after: the endpoint that was served last; the others have their turn first."""
    begun: list[Attempt] = []
    if limit <= 0:
        return begun
    due = _endpoints_due(session, now, busy)
    for endpoint in [e for e in due if e.id > after] + [e for e in due if e.id <= after]:
        room = min(limit - len(begun), AT_ONCE - busy.get(endpoint.id, 0))
        begun += _leased(session, endpoint, now, room)
        if len(begun) >= limit:
            break
    session.flush()
    return begun


def _endpoints_due(session: Session, now: datetime, busy: Mapping[str, int]) -> Sequence[WebhookEndpoint]:
    """Which have anything due and may be sent more, in order of their ids."""
    due = select(WebhookDelivery.id).where(
        WebhookDelivery.endpoint_id == WebhookEndpoint.id,
        WebhookDelivery.status == DeliveryStatus.PENDING,
        col(WebhookDelivery.due_at) <= now,
    )
    full = [endpoint_id for endpoint_id, count in busy.items() if count >= AT_ONCE]
    query = select(WebhookEndpoint).where(
        due.exists(), col(WebhookEndpoint.disabled_at).is_(None), col(WebhookEndpoint.id).not_in(full)
    )
    return session.exec(query.order_by(col(WebhookEndpoint.id))).all()


def _leased(session: Session, endpoint: WebhookEndpoint, now: datetime, limit: int) -> list[Attempt]:
    query = (
        select(WebhookDelivery)
        .where(
            WebhookDelivery.endpoint_id == endpoint.id,
            WebhookDelivery.status == DeliveryStatus.PENDING,
            col(WebhookDelivery.due_at) <= now,
        )
        .order_by(col(WebhookDelivery.due_at), col(WebhookDelivery.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    begun = []
    for row in session.exec(query).all():
        session.add(row)
        if row.attempts >= MOST_ATTEMPTS:  # its sender died in the last of them
            row.end(DeliveryStatus.FAILED, now)
            continue
        row.lease(now + LEASE)
        begun.append(_attempt(endpoint, row))
    return begun


def _attempt(endpoint: WebhookEndpoint, row: WebhookDelivery) -> Attempt:
    return Attempt(
        delivery_id=row.id,
        endpoint_id=endpoint.id,
        version=row.version,
        url=endpoint.url,
        sealed_secret=endpoint.sealed_secret,
        event_id=row.event_id,
        body=row.body,
    )


def settle(session: Session, ended: Iterable[tuple[Attempt, Result]], now: datetime) -> None:
    """Notes what came of attempts. What was taken is marked so whatever happened meanwhile; the rest is put off only
    if nobody else has taken the row up, ended it or had it sent again since."""
    results = {attempt.delivery_id: (attempt, result) for attempt, result in ended}
    if not results:
        return
    endpoints = _endpoints(session, {attempt.endpoint_id for attempt, _ in results.values()})
    query = select(WebhookDelivery).where(col(WebhookDelivery.id).in_(results))
    locked = query.order_by(col(WebhookDelivery.id)).with_for_update()
    for row in session.exec(locked.execution_options(populate_existing=True)).all():
        attempt, result = results[row.id]
        _note(session, endpoints[row.endpoint_id], row, attempt, result, now)
    session.flush()


def _endpoints(session: Session, ids: set[str]) -> dict[str, WebhookEndpoint]:
    """Locked, but for those who only refer to them; without those that are deleted, and their deliveries with them."""
    query = select(WebhookEndpoint).where(col(WebhookEndpoint.id).in_(ids)).order_by(col(WebhookEndpoint.id))
    locked = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return {endpoint.id: endpoint for endpoint in session.exec(locked).all()}


def _note(
    session: Session,
    endpoint: WebhookEndpoint,
    row: WebhookDelivery,
    attempt: Attempt,
    result: Result,
    now: datetime,
) -> None:
    is_ours = row.version == attempt.version
    session.add_all([endpoint, row])
    if result.error is None:
        row.response_status, row.last_error = result.status, None
        row.end(DeliveryStatus.DELIVERED, now)
        endpoint.note(session, True, now)
        return
    log.warning("webhook_not_taken", delivery_id=row.id, attempts=row.attempts, why=result.error)
    if is_ours:
        row.response_status, row.last_error = result.status, result.error
        if result.status == GONE:
            row.end(DeliveryStatus.FAILED, now)
        else:
            row.put_off(now)
        session.flush()
    if result.status == GONE and endpoint.disabled_at is None:
        endpoint.disable(session, DisabledWhy.GONE, now)
    endpoint.note(session, False, now)
    if endpoint.disabled_at == now:
        log.error("webhook_disabled", endpoint_id=endpoint.id, why=endpoint.disabled_why)
