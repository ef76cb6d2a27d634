"""What is published, held against what is to be: one judge for each purpose, in a table.

A published record is good where it does what the wanted one does: another TTL, another order of
tags or a stricter policy are no fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from postroom_admin.model import DkimKey, KeyState
from postroom_admin.publishing.records import DmarcPolicy, Purpose, Record

SETTLING = timedelta(days=7)  # in which what a key has signed arrives: queues give up after five
# Mechanisms of SPF that may let our hosts send without naming them (RFC 7208 section 5).
INDIRECT = ("include:", "redirect=", "a:", "mx:", "ip4:", "ip6:", "exists:", "ptr")


class Verdict(StrEnum):
    """How a record is found."""

    OK = "ok"
    ADVICE = "advice"  # it does; it could do better
    MISSING = "missing"
    WRONG = "wrong"
    UNKNOWN = "unknown"  # the DNS couldn't be asked


@dataclass(frozen=True, slots=True)
class Finding:
    """What is at a name.

    Attributes:
        wanted: what is to be there; empty: whoever runs the host knows.
        published: what is there.
        needed: without it mail is lost, refused or not believed.
        next: what to do; empty: nothing.
    """

    purpose: Purpose
    name: str
    kind: str
    verdict: Verdict
    wanted: tuple[str, ...]
    published: tuple[str, ...]
    needed: bool
    next: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing has to be done."""
        return self.verdict in (Verdict.OK, Verdict.ADVICE) or not self.needed


Judged = tuple[Verdict, str]
Judge = Callable[[Record, Sequence[str]], Judged]


def judge(wanted: Sequence[Record], published: Sequence[str], now: datetime) -> Finding:
    """What to think of all that is at a name, held against the records that are to be there.

    Args:
        wanted: at least one, all of one purpose, name and kind.
        published: in the form of ports.Dns.
    """
    record = wanted[0]
    if record.purpose is Purpose.MX:
        verdict, advice = _mx(wanted, published)
    elif record.key is not None:
        verdict, advice = _dkim(record, record.key, published, now)
    elif record.kind == "TXT":
        verdict, advice = _text(record, published)
    elif record.kind == "SRV":
        verdict, advice = _service(record, published)
    else:
        verdict, advice = _host(record, published)
    return Finding(
        record.purpose,
        record.name,
        record.kind,
        verdict,
        tuple(one.value for one in wanted),
        tuple(sorted(published)),
        record.needed,
        advice,
    )


def unknown(record: Record, why: str) -> Finding:
    """A name of which nobody can say what is there."""
    return Finding(
        record.purpose,
        record.name,
        record.kind,
        Verdict.UNKNOWN,
        (record.value,),
        (),
        record.needed,
        f"look again later: {why}",
    )


def tags(text: str) -> dict[str, str]:
    """The tags of a record of DKIM, DMARC, MTA-STS or TLS-RPT (RFC 6376 section 3.2)."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found.setdefault(name.strip().lower(), value.strip())
    return found


def _mx(wanted: Sequence[Record], published: Sequence[str]) -> Judged:
    hosts = {one.rpartition(" ")[2] for one in published}
    ours = {one.value.rpartition(" ")[2] for one in wanted}
    if hosts == {"."}:
        return Verdict.WRONG, "take the null MX away: it says that the domain takes no mail"
    if not hosts:
        return Verdict.MISSING, "publish it: until then others send to the domain's own address"
    if missing := ours - hosts:
        return Verdict.WRONG, f"add {', '.join(sorted(missing))}: others don't send there"
    if others := hosts - ours:
        return Verdict.ADVICE, f"mail may go to {', '.join(sorted(others))} too: is that meant?"
    return Verdict.OK, ""


def _text(record: Record, published: Sequence[str]) -> Judged:
    version, read = TEXTS[record.purpose]
    texts = [one for one in published if _begins(one, version)]
    if not texts:
        return Verdict.MISSING, "publish it"
    if len(texts) > 1:
        return Verdict.WRONG, f"leave one alone of {len(texts)}: with several none counts"
    return read(record, texts[0])


def _begins(text: str, version: str) -> bool:
    """Whether a text is of a version; other texts may be at the same name."""
    start = text.lstrip().lower()
    return start.startswith(version) and start[len(version) : len(version) + 1] in ("", " ", ";")


def _spf(record: Record, text: str) -> Judged:
    terms = text.lower().split()[1:]
    if any(term in ("all", "+all") for term in terms):
        return Verdict.WRONG, "end it in -all: now it lets everybody send as the domain"
    wanted = record.value.lower().split()[1:-1]
    missing = [term for term in wanted if term not in terms and f"+{term}" not in terms]
    if missing and not any(term.lstrip("+").startswith(INDIRECT) for term in terms):
        return Verdict.WRONG, f"add {' '.join(missing)}: our hosts may not send"
    if missing:
        return Verdict.ADVICE, f"does it let our hosts send? It has no {' '.join(missing)}"
    if not any(term in ("-all", "~all") or term.startswith("redirect=") for term in terms):
        return Verdict.ADVICE, "end it in -all: now it says nothing of everybody else"
    return Verdict.OK, ""


def _dmarc(record: Record, text: str) -> Judged:
    found = tags(text)
    if "._report._dmarc." in record.name:
        return Verdict.OK, ""
    policy = found.get("p", "").lower()
    if policy not in [one.value for one in DmarcPolicy]:
        return Verdict.WRONG, "give it a policy: p=none, p=quarantine or p=reject"
    if policy == DmarcPolicy.NONE:
        return (
            Verdict.ADVICE,
            "p=none only watches: once reports show no mail of your own that fails, publish"
            " p=quarantine, then p=reject",
        )
    if "rua" not in found:
        return Verdict.ADVICE, "without rua= nobody tells you of mail that fails"
    return Verdict.OK, ""


def _sts(record: Record, text: str) -> Judged:
    if not tags(text).get("id", "").isalnum():
        return Verdict.WRONG, "give it an id of letters and digits, a new one for each policy"
    return Verdict.OK, ""


def _tls_rpt(record: Record, text: str) -> Judged:
    if not tags(text).get("rua", "").lower().startswith(("mailto:", "https:")):
        return Verdict.WRONG, "say where reports go: rua=mailto:..."
    return Verdict.OK, ""


# How a text begins, and who judges it.
TEXTS: dict[Purpose, tuple[str, Callable[[Record, str], Judged]]] = {
    Purpose.SPF: ("v=spf1", _spf),
    Purpose.DMARC: ("v=dmarc1", _dmarc),
    Purpose.MTA_STS: ("v=stsv1", _sts),
    Purpose.TLS_RPT: ("v=tlsrptv1", _tls_rpt),
}


def is_published(key: DkimKey, published: Sequence[str]) -> bool:
    """Whether what is at a key's name is its record, and nothing beside it."""
    return len(published) == 1 and _public(published[0]) == _public(key.record)


def _dkim(record: Record, key: DkimKey, published: Sequence[str], now: datetime) -> Judged:
    if key.state is KeyState.RETIRED:
        return _retired(key, published, now)
    if not published:
        return Verdict.MISSING, (
            "publish it: until then nobody believes what the key signs"
            if key.state is KeyState.ACTIVE
            else f"publish it, then `postroom dkim activate {key.domain} {key.selector}`"
        )
    if len(published) > 1:
        return Verdict.WRONG, f"leave one alone of {len(published)} records"
    if not is_published(key, published):
        return Verdict.WRONG, "publish the text as it is here: another key is there"
    if "y" in tags(published[0]).get("t", "").lower().split(":"):
        return Verdict.ADVICE, "take t=y away: it asks others to disregard signatures"
    if key.state is KeyState.NEW:
        return Verdict.ADVICE, f"`postroom dkim activate {key.domain} {key.selector}` lets it sign"
    return Verdict.OK, ""


def _retired(key: DkimKey, published: Sequence[str], now: datetime) -> Judged:
    settled = (key.retired_at or now) + SETTLING
    if now < settled:
        if is_published(key, published):
            return Verdict.OK, ""
        return Verdict.ADVICE, f"publish it until {settled:%Y-%m-%d}: mail it signed is under way"
    if published:
        return Verdict.ADVICE, (
            f"take the record away, then `postroom dkim remove {key.domain} {key.selector}`"
        )
    return Verdict.ADVICE, f"`postroom dkim remove {key.domain} {key.selector}`: nobody needs it"


def _public(text: str) -> str:
    """The public key in a record; blanks in it mean nothing (RFC 6376 section 3.6.1)."""
    found = tags(text)
    return f"{found.get('k', 'rsa').lower()} {''.join(found.get('p', '').split())}"


def _service(record: Record, published: Sequence[str]) -> Judged:
    ours = record.value.split()[2:]
    if not published:
        return Verdict.MISSING, "publish it, so that mail programs find the server by themselves"
    if any(one.split()[2:] == ours for one in published):
        return Verdict.OK, ""
    if all(one.split()[-1] == "." for one in published):
        return Verdict.OK, ""  # RFC 6186 section 3.4: the service is not offered, on purpose
    return Verdict.ADVICE, f"mail programs are sent elsewhere than to {ours[1]}:{ours[0]}"


def _host(record: Record, published: Sequence[str]) -> Judged:
    """A host has addresses, whatever way it comes by them."""
    if not published:
        return Verdict.MISSING, f"publish it, or an address of {record.name}"
    return Verdict.OK, ""
