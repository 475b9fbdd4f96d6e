"""Where a webhook may go: to public addresses alone, and to the networks that the installation allows.

A URL is checked when it is saved, and again whenever something is sent: every address that its name has then must be
allowed, and the connection goes to one of those very addresses, so that a name that changes its mind between the check
and the connection gains nothing."""

import re
import socket
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from dispatch.errors import ForbiddenUrl
from dispatch.settings import Network

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
"""The addresses of a name, as text; none where it has none."""

LONGEST_URL = 2_000
SAVING_WITHIN_S = 2.0
"""So long a URL that is saved may wait for its name."""
_PORTS = {"https": 443, "http": 80}
_PRINTABLE = re.compile(r"[!-~]+")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_LOCAL_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa")
_GLOBAL_UNICAST = ip_network("2000::/3")
_NEVER = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's metadata, at a public address
        "192.0.0.0/24",  # protocols' own, and Oracle's metadata; not in every version of `ipaddress`
        "192.88.99.0/24",  # the relay of 6to4
        "2001::/23",  # Teredo and other protocols that carry addresses within
        "2002::/16",  # 6to4
        "3fff::/20",  # for documentation
    )
)
"""What `ipaddress` calls global and is no host of the internet. NAT64 and addresses mapped from IPv4 lie outside
2000::/3."""


@dataclass(frozen=True, slots=True)
class Target:
    """host: a name in lower case, or an address. path: with the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def literal(self) -> Address | None:
        """The address, where the host is one."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def resolve(host: str, port: int) -> Sequence[str]:
    """By the system's resolver."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def require_savable(url: str, allowed: Collection[Network], resolver: Resolver = resolve) -> None:
    """Raises `ForbiddenUrl`. A name that has no address now may have one later, unless it is one of a local network;
    whatever it has then is checked before anything is sent to it."""
    target = target_of(url)
    found = [str(target.literal)] if target.literal else _within(SAVING_WITHIN_S, resolver, target)
    if found:
        checked(target, found, allowed)
        return
    is_local = "." not in target.host or any(
        f".{target.host}".endswith(f".{suffix}") for suffix in _LOCAL_NAMES
    )
    if is_local or target.scheme != "https":
        raise ForbiddenUrl(detail=f"{target.host} is no name that can be reached from here.")


def addresses_to(target: Target, allowed: Collection[Network], resolver: Resolver = resolve) -> list[Address]:
    """What its host stands for now, to connect to. Raises `ForbiddenUrl`, also where one of several is forbidden."""
    if target.literal is not None:
        return checked(target, [str(target.literal)], allowed)
    return checked(target, resolver(target.host, target.port), allowed)


def target_of(url: str) -> Target:
    """Raises `ForbiddenUrl` for what is no plain http or https URL of one host, spelt in one way."""
    parts = _split(url)
    if parts.scheme not in _PORTS:
        raise ForbiddenUrl(detail="The URL must begin with https://.")
    if "@" in parts.netloc or parts.fragment:
        raise ForbiddenUrl(detail="The URL must hold neither a user nor a fragment.")
    host, port = (parts.hostname or "").rstrip("."), parts.port
    if port == 0 or not _is_host(host):
        raise ForbiddenUrl(detail="The URL must name a host, by its name or a plain address.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path)


def _split(url: str) -> SplitResult:
    if len(url) > LONGEST_URL or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise ForbiddenUrl(detail=f"The URL must be of up to {LONGEST_URL} printable ASCII characters.")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises where it is no number
    except ValueError as error:
        raise ForbiddenUrl(detail="This is not a URL.") from error
    return parts


def _is_host(host: str) -> bool:
    """A last label that is a number makes it an address (WHATWG URL, 3.5): then it must be spelt in four numbers."""
    if ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return str(ip_address(host)) == host or ":" in host
        except ValueError:
            return False
    return len(host) <= 253 and _NAME.fullmatch(host) is not None


def checked(target: Target, found: Sequence[str], allowed: Collection[Network]) -> list[Address]:
    """The addresses, each of which may be reached. Raises `ForbiddenUrl`."""
    addresses = [ip_address(address) for address in found]
    for address in addresses:
        if any(address in network for network in allowed):
            continue
        if target.scheme != "https":
            raise ForbiddenUrl(detail="Use https://; http:// is for networks that the installation allows.")
        if not is_public(address):
            raise ForbiddenUrl(detail=f"{target.host} stands for an address that is not public.")
    return addresses


def is_public(address: Address) -> bool:
    """Whether it is that of a host of the internet."""
    if address.is_multicast or not address.is_global or any(address in network for network in _NEVER):
        return False
    return address.version == 4 or address in _GLOBAL_UNICAST


def _within(seconds: float, resolver: Resolver, target: Target) -> Sequence[str]:
    """A resolver that answers too late found nothing."""
    beside = ThreadPoolExecutor(1, thread_name_prefix="resolver")
    try:
        return beside.submit(resolver, target.host, target.port).result(seconds)
    except TimeoutError:
        return []
    finally:
        beside.shutdown(wait=False)
