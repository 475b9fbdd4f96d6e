"""A channel that tests read."""

from collections.abc import Callable
from dataclasses import dataclass, field

from dispatch.channels import Message, NotSent
from dispatch.customer import Channel as Means


@dataclass
class FakeChannel:
    """Keeps what it is given. failures: raised first, one a message. on_send: called with each message before it is
    kept."""

    carries: frozenset[Means] = frozenset({Means.SMS, Means.EMAIL})
    failures: list[NotSent] = field(default_factory=list)
    on_send: Callable[[Message], None] | None = None
    sent: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        if self.failures:
            raise self.failures.pop(0)
        if self.on_send is not None:
            self.on_send(message)
        self.sent.append(message)

    @property
    def kinds(self) -> list[str]:
        """Of what left, in order."""
        return [message.kind for message in self.sent]

    def take(self) -> list[Message]:
        """What left since the last time."""
        taken, self.sent = self.sent, []
        return taken
