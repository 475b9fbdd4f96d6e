"""One attempt to deliver a webhook: signed as Standard Webhooks, posted to an address that was checked a moment ago.

No proxy of the environment is used, no redirect followed, nothing of the answer read but its head."""

import base64
import secrets
import socket
import ssl
import threading
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from standardwebhooks import Webhook
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from dispatch.errors import ForbiddenUrl
from dispatch.settings import Settings
from dispatch.webhook_address import Address, Resolver, Target, addresses_to, resolve, target_of

SECRET_PREFIX = "whsec_"  # noqa: S105  how every secret begins
SECRET_BYTES = 32
MOST_ADDRESSES = 3
"""Of a name: so many are tried until one lets itself be connected to."""
CONNECT_WITHIN_S = 5.0
USER_AGENT = "freelance-dispatch-webhooks/1"
LONGEST_ERROR = 200


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is to be sent. version: of the delivery, as it was taken up."""

    delivery_id: str
    endpoint_id: str
    version: int
    url: str
    sealed_secret: str
    event_id: str
    body: str


@dataclass(frozen=True, slots=True)
class Result:
    """status: that was answered, if any was. error: why it counts as a failure, None where it was taken."""

    status: int | None
    error: str | None


class Sender:
    """Sends one attempt at a time in any thread. resolver and tls: replaced by tests."""

    def __init__(
        self, settings: Settings, resolver: Resolver = resolve, tls: ssl.SSLContext | None = None
    ) -> None:
        self._settings, self._resolver = settings, resolver
        self._tls = tls or ssl.create_default_context()

    def send(self, attempt: Attempt, now: datetime) -> Result:
        """What came of it; it does not raise for anything that the endpoint, its name or the network does."""
        try:
            secret = unseal(self._settings, attempt.sealed_secret)
            target = target_of(attempt.url)
            addresses = addresses_to(target, self._settings.webhook_allow, self._resolver)
        except InvalidToken:
            return Result(None, "its secret cannot be read any more: the installation's has changed")
        except ForbiddenUrl as error:
            return Result(None, f"forbidden: {error.detail}"[:LONGEST_ERROR])
        if not addresses:
            return Result(None, "the name of the host has no address")
        return self._send(target, addresses, signed(attempt, secret, now), attempt.body.encode())

    def _send(self, target: Target, addresses: list[Address], headers: dict[str, str], body: bytes) -> Result:
        refused = Result(None, None)
        for address in addresses[:MOST_ADDRESSES]:
            connection = self._connection(target, address)
            try:
                connection.connect()
                return _outcome(self._posted(connection, target, headers, body))
            except (NewConnectionError, ConnectTimeoutError):
                refused = Result(None, "no connection")
            except TimeoutError:
                return Result(None, self._too_slow)
            except ssl.SSLError as error:
                return Result(None, f"TLS: {error.reason or error}"[:LONGEST_ERROR])
            except (OSError, HTTPException, HTTPError) as error:
                return Result(None, f"the connection broke: {type(error).__name__}")
            finally:
                connection.close()
        return refused

    @property
    def _too_slow(self) -> str:
        return f"no answer within {self._settings.webhook_timeout_s:g} s"

    def _connection(self, target: Target, address: Address) -> HTTPConnection:
        """To that address and no other; the certificate must be that of the host."""
        timeout = min(CONNECT_WITHIN_S, self._settings.webhook_timeout_s)
        if target.scheme == "http":
            return HTTPConnection(str(address), target.port, timeout=timeout)
        return HTTPSConnection(
            str(address),
            target.port,
            timeout=timeout,
            ssl_context=self._tls,
            server_hostname=target.host,
        )

    def _posted(
        self, connection: HTTPConnection, target: Target, headers: dict[str, str], body: bytes
    ) -> int:
        """The status that is answered. The whole must be over in time, however slowly the answer drips. Raises
        `TimeoutError`, and what the connection raises."""
        seconds = connection.timeout = self._settings.webhook_timeout_s
        over = threading.Event()
        cut = threading.Timer(seconds, _cut, (connection, over))
        cut.daemon = True
        cut.start()
        try:
            connection.request(
                "POST", target.path, body, {**headers, "Host": target.host_header}, preload_content=False
            )
            status = connection.getresponse().status
        except (OSError, HTTPException, HTTPError) as error:
            if over.is_set():
                raise TimeoutError from error
            raise
        finally:
            cut.cancel()
        if over.is_set():  # half of a head reads like the whole
            raise TimeoutError
        return status


def _cut(connection: HTTPConnection, over: threading.Event) -> None:
    """From another thread: the socket is shut down beneath the one that waits for it."""
    over.set()
    waiting = connection.sock
    if waiting is not None:
        try:
            socket.socket.shutdown(waiting, socket.SHUT_RDWR)
        except OSError:
            return  # it was closed just now


def _outcome(status: int) -> Result:
    if 200 <= status < 300:
        return Result(status, None)
    hint = ", a redirect, which is not followed" if 300 <= status < 400 else ""
    return Result(status, f"answered {status}{hint}")


# Secrets and signatures


def new_secret() -> str:
    """In the form of Standard Webhooks: `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def seal(settings: Settings, secret: str) -> str:
    """As it is stored."""
    return _seal_of(settings).encrypt(secret.encode()).decode()


def unseal(settings: Settings, sealed: str) -> str:
    """Raises `InvalidToken` where the server's own secret is another now."""
    return _seal_of(settings).decrypt(sealed.encode()).decode()


def _seal_of(settings: Settings) -> Fernet:
    derived = HKDF(SHA256(), length=32, salt=None, info=b"webhook")
    key = derived.derive(settings.secret.get_secret_value().encode())
    return Fernet(base64.urlsafe_b64encode(key))


def signed(attempt: Attempt, secret: str, now: datetime) -> dict[str, str]:
    """The headers of an attempt that is made now."""
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": attempt.event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(attempt.event_id, now, attempt.body),
    }
