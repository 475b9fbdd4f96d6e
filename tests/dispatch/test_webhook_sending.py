"""One attempt to deliver: whom it reaches, what it carries, when it counts as taken."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

from dispatch.settings import Settings
from dispatch.webhook_address import Resolver
from dispatch.webhook_sending import Attempt, Result, Sender, new_secret, seal, unseal
from tests.support.webhooks import Receiver

NAME = "hooks.acme.example"
SECRET = new_secret()
LOOPBACK = (ip_network("127.0.0.1/32"),)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """No database is needed."""
    return Settings(
        data_dir=tmp_path,
        secret="a secret for tests, longer than 32 characters",
        webhook_allow=LOOPBACK,
        webhook_timeout_s=0.5,
    )


def attempt(settings: Settings, url: str) -> Attempt:
    return Attempt(
        delivery_id="delivery",
        endpoint_id="endpoint",
        version=1,
        url=url,
        sealed_secret=seal(settings, SECRET),
        event_id="01950000-0000-7000-8000-000000000001",
        body='{"type":"appointment.booked","data":{"reason":"Grüße"}}',
    )


def resolving(*answers: Sequence[str]) -> Resolver:
    """Every name stands for these; another answer each time, the last for ever."""
    left = list(answers)
    return lambda _host, _port: left.pop(0) if len(left) > 1 else left[0]


def send(settings: Settings, url: str, resolver: Resolver | None = None) -> Result:
    sender = Sender(settings) if resolver is None else Sender(settings, resolver)
    return sender.send(attempt(settings, url), datetime.now(UTC))


def test_it_is_signed_as_standard_webhooks_says(settings: Settings, receiver: Receiver) -> None:
    result = send(settings, receiver.url)

    (arrived,) = receiver.arrived
    assert result == Result(200, None)
    assert arrived.is_signed_by(SECRET)
    assert not arrived.is_signed_by(new_secret())
    assert Webhook(SECRET).verify(arrived.content, arrived.headers)["type"] == "appointment.booked"
    assert arrived.headers["content-type"] == "application/json"
    assert arrived.id == attempt(settings, "").event_id


def test_a_stored_secret_is_encrypted_and_no_other_installation_reads_it(settings: Settings) -> None:
    sealed = seal(settings, SECRET)
    other = settings.model_copy(update={"secret": Settings(data_dir=settings.data_dir / "other").secret})

    result = Sender(other).send(attempt(settings, "http://127.0.0.1:1/"), datetime.now(UTC))

    assert SECRET not in sealed
    assert unseal(settings, sealed) == SECRET
    assert result.error is not None
    assert "secret" in result.error


@pytest.mark.parametrize("status", [201, 204, 299])
def test_any_success_is_taken(settings: Settings, receiver: Receiver, status: int) -> None:
    receiver.behaves = lambda _id, _times: status

    assert send(settings, receiver.url) == Result(status, None)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure_and_not_followed(
    settings: Settings, receiver: Receiver, status: int
) -> None:
    receiver.behaves = lambda _id, _times: status

    result = send(settings, receiver.url)

    assert result.status == status
    assert result.error is not None
    assert "redirect" in result.error
    assert [arrived.path for arrived in receiver.arrived] == ["/hooks"]


@pytest.mark.parametrize("status", [400, 404, 410, 500, 503])
def test_every_other_status_is_a_failure(settings: Settings, receiver: Receiver, status: int) -> None:
    receiver.behaves = lambda _id, _times: status

    assert send(settings, receiver.url) == Result(status, f"answered {status}")


def test_no_answer_in_time_is_a_failure(settings: Settings, receiver: Receiver) -> None:
    receiver.behaves = lambda _id, _times: "hang"

    assert send(settings, receiver.url) == Result(None, "no answer within 0.5 s")


def test_a_closed_connection_and_none_at_all_are_failures(settings: Settings, receiver: Receiver) -> None:
    receiver.behaves = lambda _id, _times: "close"
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))

        nobody = send(settings, f"http://127.0.0.1:{unused.getsockname()[1]}/")

    assert nobody == Result(None, "no connection")
    assert (send(settings, receiver.url).error or "").startswith("the connection broke")


def test_an_answer_that_drips_is_cut_off(settings: Settings) -> None:
    with dripping() as port:
        began = time.monotonic()

        result = send(settings, f"http://127.0.0.1:{port}/")

    assert result == Result(None, "no answer within 0.5 s")
    assert time.monotonic() - began < 5


@contextmanager
def dripping() -> Iterator[int]:
    """A server that sends a header line a tenth of a second, for ever."""
    over = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            try:
                while not over.wait(0.1):
                    connection.sendall(b"x: y\r\n")
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        over.set()
        thread.join()


# Whom it reaches


def test_a_name_is_connected_to_at_the_address_that_was_checked(
    settings: Settings, receiver: Receiver
) -> None:
    result = send(settings, f"http://{NAME}:{receiver.port}/hooks?a=b", resolving(["127.0.0.1"]))

    (arrived,) = receiver.arrived
    assert result.error is None
    assert arrived.path == "/hooks?a=b"
    assert arrived.headers["host"] == f"{NAME}:{receiver.port}"


def test_a_name_that_turns_private_after_it_was_saved_is_refused(
    settings: Settings, receiver: Receiver
) -> None:
    strict = settings.model_copy(update={"webhook_allow": ()})
    url = f"https://{NAME}:{receiver.port}/"

    result = send(strict, url, resolving(["127.0.0.1"]))

    assert (result.error or "").startswith("forbidden")
    assert receiver.arrived == []


def test_one_private_address_among_public_ones_is_enough_to_refuse(
    settings: Settings, receiver: Receiver
) -> None:
    strict = settings.model_copy(update={"webhook_allow": ()})

    result = send(strict, f"https://{NAME}:{receiver.port}/", resolving(["93.184.215.14", "127.0.0.1"]))

    assert (result.error or "").startswith("forbidden")
    assert receiver.arrived == []


def test_between_check_and_connection_no_name_is_looked_up_again(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    really = socket.getaddrinfo

    def remembering(host: str, *rest: object, **more: object) -> object:
        asked.append(host)
        return really(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", remembering)

    result = send(settings, f"http://{NAME}:{receiver.port}/", resolving(["127.0.0.1"], ["10.0.0.1"]))

    assert result.error is None
    assert set(asked) == {"127.0.0.1"}


def test_another_address_of_the_name_is_tried_where_nobody_is_at_the_first(
    settings: Settings, receiver: Receiver
) -> None:
    wider = settings.model_copy(update={"webhook_allow": (ip_network("127.0.0.0/8"),)})

    result = send(wider, f"http://{NAME}:{receiver.port}/", resolving(["127.0.0.9", "127.0.0.1"]))

    assert result.error is None


def test_a_name_without_an_address_is_a_failure(settings: Settings) -> None:
    assert send(settings, f"https://{NAME}/", resolving([])).error == "the name of the host has no address"


def test_proxies_of_the_environment_are_not_used(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert send(settings, receiver.url).error is None


# TLS


def test_the_certificate_must_be_that_of_the_name(settings: Settings, tmp_path: Path) -> None:
    authority, server = certified(tmp_path, NAME)
    trusting = ssl.create_default_context(cadata=authority)
    resolver = resolving(["127.0.0.1"])
    with tls_receiver(server) as receiver:
        tried = replace(attempt(settings, ""), url=f"https://{NAME}:{receiver.port}/")
        other = replace(tried, url=f"https://other.acme.example:{receiver.port}/")
        now = datetime.now(UTC)

        right = Sender(settings, resolver, trusting).send(tried, now)
        wrong_name = Sender(settings, resolver, trusting).send(other, now)
        unknown = Sender(settings, resolver).send(tried, now)

    assert right == Result(200, None)
    assert (wrong_name.error or "").startswith("TLS: ")
    assert (unknown.error or "").startswith("TLS: ")
    assert len(receiver.arrived) == 1


@contextmanager
def tls_receiver(server: ssl.SSLContext) -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.socket = server.wrap_socket(receiver.socket, server_side=True)
    with receiver:
        thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield receiver
        receiver.shutdown()
        thread.join()


def certified(directory: Path, name: str) -> tuple[str, ssl.SSLContext]:
    """A certificate of the name, signed by itself: as PEM, and for a server."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    file = directory / "server.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return pem.decode(), server
