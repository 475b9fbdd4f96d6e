"""Channels: what is left behind by each, and how they fail."""

import json
import socketserver
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from dispatch.channels import (
    DirectoryChannel,
    LogChannel,
    Message,
    NotSent,
    SmtpChannel,
    as_mail,
    open_channel,
)
from dispatch.customer import Channel as Means
from dispatch.settings import Settings

MESSAGE = Message(
    id="01900000-0000-7000-8000-000000000001",
    kind="booked",
    appointment_id="01900000-0000-7000-8000-000000000002",
    means=Means.EMAIL,
    to="casey@example.com",
    subject="رزرو شد",
    body="نوبت شما <b>.\n\nپیگیری:\nhttp://127.0.0.1:8000/t/x",
    language="fa",
    direction="rtl",
)


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks as much SMTP (RFC 5321) as a client needs. refusing: its answer to RCPT, if not 250."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.received: list[bytes] = []
        self.refusing: bytes | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class _Conversation(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                self.server.received.append(self._data())
            refused = self.server.refusing if verb == b"RCPT" else None
            self.wfile.write((refused or b"250 ok") + b"\r\n")
            if verb == b"QUIT":
                return

    def _data(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        return b"".join(lines)


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_mail_arrives_as_text_and_as_html_that_is_read_from_the_right(mail_server: MailServer) -> None:
    SmtpChannel(mail_server.url, "Acme <visits@acme.example>").send(MESSAGE)

    (raw,) = mail_server.received
    mail = message_from_bytes(raw, policy=default)
    text, html = mail.iter_parts()
    assert (mail["To"], mail["Subject"]) == ("casey@example.com", MESSAGE.subject)
    assert mail["Message-ID"] == f"<{MESSAGE.id}@acme.example>"
    assert text.get_content().replace("\r\n", "\n").strip() == MESSAGE.body
    assert '<html lang="fa" dir="rtl">' in html.get_content()
    assert "&lt;b&gt;" in html.get_content()
    assert '<a href="http://127.0.0.1:8000/t/x">' in html.get_content()


@pytest.mark.parametrize(("answer", "for_good"), [(b"550 nobody", True), (b"450 later", False)])
def test_a_recipient_that_is_refused_is_so_for_good_or_for_now(
    mail_server: MailServer, answer: bytes, for_good: bool
) -> None:
    mail_server.refusing = answer

    with pytest.raises(NotSent) as refusal:
        SmtpChannel(mail_server.url, "visits@acme.example").send(MESSAGE)

    assert refusal.value.for_good is for_good
    assert "casey" not in str(refusal.value)


def test_a_mail_server_that_is_away_is_tried_again() -> None:
    with pytest.raises(NotSent) as failure:
        SmtpChannel("smtp://127.0.0.1:1", "visits@acme.example").send(MESSAGE)

    assert not failure.value.for_good


def test_a_name_cannot_add_headers_to_a_mail() -> None:
    mail = as_mail(replace(MESSAGE, subject="Booked: Leak\r\nBcc: all@example.com"), "visits@acme.example")

    assert mail["Bcc"] is None
    assert mail["Subject"] == "Booked: Leak Bcc: all@example.com"


def test_a_directory_keeps_one_whole_file_a_message_for_its_owner_alone(tmp_path: Path) -> None:
    channel = DirectoryChannel(tmp_path / "outbox")

    channel.send(MESSAGE)
    channel.send(MESSAGE)

    (file,) = (tmp_path / "outbox").iterdir()
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert file.name == f"{MESSAGE.id}.json"
    assert (kept["to"], kept["means"], kept["body"]) == (MESSAGE.to, "email", MESSAGE.body)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_directory_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file is in the way")

    with pytest.raises(NotSent) as failure:
        DirectoryChannel(tmp_path / "outbox").send(MESSAGE)

    assert not failure.value.for_good


def test_the_installation_chooses(tmp_path: Path) -> None:
    mail = {"smtp_url": "smtps://me:secret@mail.example", "mail_from": "visits@acme.example"}

    assert isinstance(open_channel(Settings(data_dir=tmp_path)), LogChannel)
    assert isinstance(open_channel(Settings(data_dir=tmp_path, channel="directory")), DirectoryChannel)
    chosen = open_channel(Settings(data_dir=tmp_path, channel="smtp", **mail))
    assert chosen.carries == {Means.EMAIL}
