"""Services that carry a message to one address, through apprise: each is a URL of apprise's with `{to}` where the
address goes, and `{id}`, if wanted, for the message's id.

apprise tells what went wrong in its log alone. The log holds addresses and texts, so nothing of it is printed: what a
failure means is read from it, and the rest is forgotten."""

import logging
import re
from collections.abc import Container
from urllib.parse import quote, unquote

import apprise

SAMPLE_PHONE, SAMPLE_EMAIL = "+12025550123", "somebody@example.com"
"""Addresses that are nobody's, to see what a URL would do with one."""
_ASSET = apprise.AppriseAsset(app_id="Dispatch", app_desc="Dispatch", app_url="", async_mode=False)
_CODE = re.compile(r"error=(\d{3,5})\b|\((\d{3}), b['\"]")
"""An HTTP status or a service's own code, or the answer of a mail server, in apprise's log."""
_REFUSED = frozenset({400, 410, 422, 550, 551, 552, 553, 554, 21211, 21214, 21217, 21610, 21612, 21614})
"""HTTP: this request will never do. 21xxx: Twilio on the number that was to be reached (its Error and Warning
Dictionary). 55x: a mail server on the mailbox or the mail (RFC 5321, 4.2.3). All else, a wrong password too, may be
better later."""

_log = logging.getLogger(apprise.LOGGER_NAME)
_log.propagate = False
_log.addHandler(logging.NullHandler())
_log.setLevel(logging.DEBUG)


class NotCarried(Exception):
    """for_good: the service refuses this address or message, and would again."""

    def __init__(self, why: str, *, for_good: bool) -> None:
        super().__init__(why)
        self.for_good = for_good


def carry(template: str, to: str, message_id: str, title: str, body: str, *, as_html: bool) -> None:
    """Hands a message to the service of the template. as_html: what the body is; a service that cannot show it gets its
    text. Raises `NotCarried`, whose words hold no address."""
    service = _service(_filled(template, to, message_id))
    if service is None or not _sends_to(service, to):
        raise NotCarried("the service cannot send to this address", for_good=True)
    sender = apprise.Apprise(asset=_ASSET)
    sender.add(service)
    body_format = apprise.NotifyFormat.HTML if as_html else apprise.NotifyFormat.TEXT
    with sender.notify(body=body, title=title, body_format=body_format, log_level=logging.DEBUG) as result:
        if result:
            return
        codes = [_code(entry.message) for entry in result.logs()]
    code = next((code for code in codes if code), None)
    why = f"error {code}" if code else "no answer"
    raise NotCarried(f"{service.service_name}: {why}", for_good=code in _REFUSED)


def objection(template: str, sample: str) -> str | None:
    """What is wrong with a template, in words that hold nothing of it but its scheme; None if nothing is."""
    scheme, separator, _ = template.partition("://")
    if not separator or not re.fullmatch(r"[a-z0-9]+", scheme):
        return "must be a URL of apprise such as twilio://SID:TOKEN@FROM/{to}"
    if scheme not in _known_schemes():
        return f"apprise knows no service {scheme}://"
    if "{to}" not in template:
        return "needs {to} where the customer's address goes"
    service = _service(_filled(template, sample, "0"))
    if service is None:
        return f"apprise cannot read what follows {scheme}://; see its page of this service"
    if not _sends_to(service, sample):
        return f"{scheme}:// does not send to an address at the place of {{to}}"
    return None


def _filled(template: str, to: str, message_id: str) -> str:
    return template.replace("{to}", quote(to, safe="")).replace("{id}", quote(message_id, safe=""))


def _sends_to(service: apprise.NotifyBase, to: str) -> bool:
    """Whether the address is in what the service made of its URL: it leaves out what it cannot use."""
    understood = str(service.url(privacy=False))  # type: ignore[no-untyped-call]
    return to.lstrip("+").casefold() in unquote(understood).casefold()


def _known_schemes() -> Container[str]:
    return apprise.NotificationManager()  # type: ignore[no-untyped-call]


def _service(url: str) -> apprise.NotifyBase | None:
    return apprise.Apprise.instantiate(url, asset=_ASSET)


def _code(line: str) -> int | None:
    found = _CODE.search(line)
    return int(found[1] or found[2]) if found else None
