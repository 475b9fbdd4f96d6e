"""Channels: what is left behind by each, and how they fail."""

import json
import stat
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from dispatch.channels import (
    AppriseChannel,
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
from tests.support.gateways import HttpGateway, MailServer

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
    services = {"apprise_sms": "json://gateway.example/{to}", "apprise_chat": "form://gateway.example/{to}"}
    assert open_channel(Settings(data_dir=tmp_path, channel="apprise", **services)).carries == {
        Means.SMS,
        Means.CHAT,
    }


# Services of apprise

TEXT = replace(MESSAGE, means=Means.SMS, to="+12125550123")


def by_json(gateway: HttpGateway) -> AppriseChannel:
    return AppriseChannel({Means.SMS: f"json://{gateway.address}/sms/{{to}}?:id={{id}}"})


def by_mail(server: MailServer) -> AppriseChannel:
    url = f"mailto://{server.url.removeprefix('smtp://')}?to={{to}}&from=visits@acme.example"
    return AppriseChannel({Means.EMAIL: url})


def test_a_text_reaches_the_service_with_its_number_its_id_and_its_words_alone(gateway: HttpGateway) -> None:
    by_json(gateway).send(TEXT)

    (posted,) = gateway.received
    assert posted.path == "/sms/+12125550123"
    assert posted.fields["id"] == TEXT.id
    assert (posted.fields["title"], posted.fields["message"]) == ("", TEXT.body)


def test_a_chat_goes_to_the_number_by_a_service_of_its_own(gateway: HttpGateway) -> None:
    channel = AppriseChannel({Means.CHAT: f"form://{gateway.address}/chat?:to={{to}}"})

    channel.send(replace(TEXT, means=Means.CHAT))

    (posted,) = gateway.received
    assert (posted.fields["to"], posted.fields["message"]) == (TEXT.to, TEXT.body)


def test_mail_by_apprise_is_read_from_the_right_and_as_text_too(mail_server: MailServer) -> None:
    by_mail(mail_server).send(MESSAGE)

    (raw,) = mail_server.received
    mail = message_from_bytes(raw, policy=default)
    html = mail.get_body(("html",))
    text = mail.get_body(("plain",))
    assert html is not None
    assert text is not None
    assert (mail["To"], mail["Subject"]) == ("casey@example.com", MESSAGE.subject)
    assert "visits@acme.example" in mail["From"]
    assert '<html lang="fa" dir="rtl">' in html.get_content()
    assert "http://127.0.0.1:8000/t/x" in text.get_content()


@pytest.mark.parametrize(
    ("status", "for_good"), [(400, True), (422, True), (401, False), (429, False), (500, False), (503, False)]
)
def test_a_service_that_refuses_does_so_for_good_or_for_now(
    gateway: HttpGateway, status: int, for_good: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    gateway.answers = [status]

    with pytest.raises(NotSent, match=f"JSON: error {status}") as refusal:
        by_json(gateway).send(TEXT)

    assert refusal.value.for_good is for_good
    assert "".join(capfd.readouterr()) == "", "apprise's log holds numbers and words"


@pytest.mark.parametrize(("answer", "for_good"), [(b"550 nobody", True), (b"450 later", False)])
def test_a_mailbox_that_apprise_cannot_reach_is_refused_for_good_or_for_now(
    mail_server: MailServer, answer: bytes, for_good: bool
) -> None:
    mail_server.refusing = answer

    with pytest.raises(NotSent) as refusal:
        by_mail(mail_server).send(MESSAGE)

    assert refusal.value.for_good is for_good
    assert "casey" not in str(refusal.value)


def test_a_service_that_is_away_is_tried_again() -> None:
    with pytest.raises(NotSent, match="no answer") as failure:
        AppriseChannel({Means.SMS: "json://127.0.0.1:1/{to}"}).send(TEXT)

    assert not failure.value.for_good


def test_what_the_service_would_send_to_its_own_number_instead_is_refused_for_good() -> None:
    url = f"twilio://AC{'0' * 32}:{'1' * 32}@+12025550100/{{to}}"

    with pytest.raises(NotSent) as refusal:
        AppriseChannel({Means.SMS: url}).send(replace(TEXT, to="+99"))

    assert refusal.value.for_good
