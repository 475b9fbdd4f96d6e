"""Where webhooks may go: to the internet, and nowhere else."""

import time
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest

from dispatch.errors import ForbiddenUrl
from dispatch.webhook_address import (
    Resolver,
    addresses_to,
    is_public,
    require_savable,
    resolve,
    target_of,
)

PUBLIC, PUBLIC_V6 = "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
LOOPBACK = (ip_network("127.0.0.1/32"),)


def naming(*addresses: str) -> Resolver:
    """A resolver for which every name stands for these."""

    def resolver(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolver


@pytest.mark.parametrize(
    "url",
    [
        "https://erp.acme.example/hooks",
        "https://erp.acme.example:8443/hooks?token=abc",
        "https://xn--bcher-kva.example/",
        "https://1.acme.example",
        f"https://{PUBLIC}/hooks",
        f"https://[{PUBLIC_V6}]:444/hooks",
    ],
)
def test_a_public_https_address_is_taken(url: str) -> None:
    require_savable(url, (), naming(PUBLIC, PUBLIC_V6))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks",
        "//erp.acme.example/hooks",
        "ftp://erp.acme.example/",
        "file:///etc/passwd",
        "gopher://erp.acme.example/",
        "http://erp.acme.example/hooks",
        "https://",
        "https:///hooks",
        "https://user@erp.acme.example/",
        "https://user:secret@erp.acme.example/",
        "https://@erp.acme.example/",
        "https://erp.acme.example/#part",
        "https://erp.acme.example\\@127.0.0.1/",
        "https://erp.acme.example/a b",
        "https://erp.acme.example/\n",
        "https://bücher.example/",
        "https://erp.acme.example:0/",
        "https://erp.acme.example:65536/",
        "https://erp.acme.example:x/",
        "https://erp..example/",
        "https://-erp.example/",
        "https://[::1/",
        "https://erp%2eacme.example/",
        f"https://erp.acme.example/{'a' * 2_000}",
    ],
)
def test_what_is_no_plain_https_url_is_refused(url: str) -> None:
    with pytest.raises(ForbiddenUrl):
        require_savable(url, (), naming(PUBLIC))


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.01",
        "1572395042",
        "93.184.215.0x0e",
        "0",
        "1.2.3.4.5",
        "256.0.0.1",
    ],
)
def test_an_address_that_is_not_spelt_in_four_numbers_is_refused(host: str) -> None:
    with pytest.raises(ForbiddenUrl):
        require_savable(f"https://{host}/", LOOPBACK, resolve)


NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:93.184.215.14",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused_by_itself_and_behind_a_name(address: str) -> None:
    host = f"[{address}]" if ":" in address else address

    assert not is_public(ip_address(address))
    with pytest.raises(ForbiddenUrl):
        require_savable(f"https://{host}/", (), naming(PUBLIC))
    for found in ([address], [PUBLIC, address], [address, PUBLIC]):
        with pytest.raises(ForbiddenUrl):
            require_savable("https://erp.acme.example/", (), naming(*found))


@pytest.mark.parametrize("address", [PUBLIC, PUBLIC_V6, "8.8.8.8", "2001:4860:4860::8888", "100.128.0.1"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "host",
    ["localhost", "metadata.google.internal", "printer.local", "nas.home.arpa", "intranet", "a.localhost."],
)
def test_a_local_name_is_refused_also_where_it_has_no_address(host: str) -> None:
    with pytest.raises(ForbiddenUrl):
        require_savable(f"https://{host}/", (), naming())


def test_a_name_without_an_address_yet_may_be_saved() -> None:
    require_savable("https://not-yet.acme.example/", (), naming())

    assert addresses_to(target_of("https://not-yet.acme.example/"), (), naming()) == []


def test_a_name_that_takes_long_to_look_up_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatch.webhook_address.SAVING_WITHIN_S", 0.05)

    def slow(_host: str, _port: int) -> Sequence[str]:
        time.sleep(0.5)
        return [PUBLIC]

    began = time.monotonic()
    require_savable("https://slow.acme.example/", (), slow)

    assert time.monotonic() - began < 0.4


def test_http_and_private_addresses_are_for_networks_that_are_allowed() -> None:
    for url in ("http://127.0.0.1:9000/hooks", "https://127.0.0.1/hooks", "http://erp.test.example/"):
        require_savable(url, LOOPBACK, naming("127.0.0.1"))
    for url, found in (
        ("http://127.0.0.2/", "127.0.0.2"),
        ("http://erp.test.example/", PUBLIC),
        ("http://[::1]/", "::1"),
        ("http://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1"),
    ):
        with pytest.raises(ForbiddenUrl):
            require_savable(url, LOOPBACK, naming(found))


def test_the_host_is_named_as_in_the_url() -> None:
    headers = [
        target_of(url).host_header
        for url in (
            "https://ERP.acme.example./a",
            "https://erp.acme.example:8443",
            f"http://[{PUBLIC_V6}]:81/",
        )
    ]

    assert headers == ["erp.acme.example", "erp.acme.example:8443", f"[{PUBLIC_V6}]:81"]
    assert target_of("https://erp.acme.example?x=1").path == "/?x=1"
