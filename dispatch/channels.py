"""The ways by which messages leave: the log (which sends nothing), a directory that a gateway empties, a mail server,
the services that apprise knows.

A channel may get a message twice, with the same id: what takes it from there can tell.
"""

import json
import os
import smtplib
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from html import escape
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import structlog

from dispatch.carriers import NotCarried, carry
from dispatch.customer import Channel as Means
from dispatch.settings import Settings

SMTP_TIMEOUT_S = 15
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """id: of the outbox's row, the same whenever it is sent again. to: a number in E.164 or an e-mail address, as
    `means` says. direction: of the language's script, ltr or rtl."""

    id: str
    kind: str
    appointment_id: str
    means: Means
    to: str
    subject: str
    body: str
    language: str
    direction: str


class NotSent(Exception):
    """The channel did not take the message. for_good: trying again would not help."""

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


class Channel(Protocol):
    """carries: what it can reach people by."""

    carries: frozenset[Means]

    def send(self, message: Message) -> None:
        """Returns once the message is somebody else's to deliver. Raises `NotSent`."""


class LogChannel:
    """Notes that a message would leave, and nothing that is in it."""

    carries = frozenset({Means.SMS, Means.EMAIL})

    def send(self, message: Message) -> None:
        log.info(
            "customer_told",
            notification_id=message.id,
            kind=message.kind,
            appointment_id=message.appointment_id,
            means=message.means.value,
        )


class DirectoryChannel:
    """A JSON file for each message, named by its id and readable by its owner alone, from where another program takes
    it; one that is sent again takes the place of the first."""

    carries = frozenset({Means.SMS, Means.EMAIL})

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def send(self, message: Message) -> None:
        try:
            self._write(message)
        except OSError as error:
            raise NotSent(f"cannot write: {error.strerror}") from error

    def _write(self, message: Message) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=self._directory, prefix=".draft-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(message), file, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self._directory / f"{message.id}.json")
        except BaseException:
            os.unlink(draft)
            raise


class SmtpChannel:
    """A mail server: `smtp://`, with STARTTLS where the server knows it, or `smtps://`; who logs in is in the URL."""

    carries = frozenset({Means.EMAIL})

    def __init__(self, url: str, sender: str) -> None:
        self._url, self._sender = urlsplit(url), sender

    def send(self, message: Message) -> None:
        try:
            mail = as_mail(message, self._sender)
            with self._connected() as server:
                server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise NotSent("the recipient is refused", for_good=min(codes) >= 500) from error
        except ValueError as error:
            raise NotSent("it cannot be written as mail", for_good=True) from error
        except (OSError, smtplib.SMTPException) as error:
            raise NotSent(f"the mail server failed: {type(error).__name__}") from error

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        secure = self._url.scheme == "smtps"
        host, port = self._url.hostname or "", self._url.port or (465 if secure else 587)
        context = ssl.create_default_context()
        opened = (
            smtplib.SMTP_SSL(host, port, timeout=SMTP_TIMEOUT_S, context=context)
            if secure
            else smtplib.SMTP(host, port, timeout=SMTP_TIMEOUT_S)
        )
        try:
            opened.ehlo_or_helo_if_needed()
            if not secure and opened.has_extn("starttls"):
                opened.starttls(context=context)
                opened.ehlo()
            if self._url.username:
                opened.login(unquote(self._url.username), unquote(self._url.password or ""))
            yield opened
        finally:
            # What was taken stays taken, however the server says goodbye.
            with suppress(OSError, smtplib.SMTPException):
                opened.quit()
            opened.close()


class AppriseChannel:
    """A service of apprise for each means. A text and a chat have no subject; mail is HTML, which can say in which
    direction it is read."""

    def __init__(self, templates: Mapping[Means, str]) -> None:
        self._templates = templates
        self.carries = frozenset(templates)

    def send(self, message: Message) -> None:
        is_mail = message.means is Means.EMAIL
        title, body = (_one_line(message.subject), as_html(message)) if is_mail else ("", message.body)
        template = self._templates[message.means]
        try:
            carry(template, message.to, message.id, title, body, as_html=is_mail)
        except NotCarried as failure:
            raise NotSent(str(failure), for_good=failure.for_good) from failure


def as_mail(message: Message, sender: str) -> EmailMessage:
    """Plain text, and the same as HTML, which can say in which direction it is read."""
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, message.to
    mail["Subject"] = _one_line(message.subject)
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2].rstrip('>')}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["Content-Language"] = message.language
    mail.set_content(message.body)
    mail.add_alternative(as_html(message), subtype="html")
    return mail


def as_html(message: Message) -> str:
    """The body as a page of its own."""
    lines = "<br>\n".join(_linked(line) for line in message.body.splitlines())
    head = f'<!doctype html><html lang="{message.language}" dir="{message.direction}">'
    return f"{head}<body><p>{lines}</p></body></html>"


def _one_line(subject: str) -> str:
    return " ".join(subject.split())


def _linked(line: str) -> str:
    safe = escape(line)
    return f'<a href="{safe}">{safe}</a>' if line.startswith(("http://", "https://")) else safe


def open_channel(settings: Settings) -> Channel:
    """The channel that the installation has chosen."""
    match settings.channel:
        case "log":
            return LogChannel()
        case "directory":
            return DirectoryChannel(settings.data_dir / "outbox")
        case "smtp":
            return SmtpChannel(settings.smtp_url.get_secret_value(), settings.mail_from)
        case "apprise":
            return AppriseChannel(_services(settings))


def _services(settings: Settings) -> dict[Means, str]:
    named = {
        Means.SMS: settings.apprise_sms,
        Means.EMAIL: settings.apprise_email,
        Means.CHAT: settings.apprise_chat,
    }
    return {means: url.get_secret_value() for means, url in named.items() if url.get_secret_value()}
