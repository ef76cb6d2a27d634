"""Fields that go before mail that leaves here: signatures of the author's domain (RFC 6376), and
seals on what is handed on (RFC 8617).
"""

from __future__ import annotations

import base64
import time
from collections import Counter as Multiset
from collections.abc import Iterable, Sequence

from prometheus_client import Counter

from postroom_smtp.checks.content import Content, Workers
from postroom_smtp.checks.dkim import FIELD as DKIM
from postroom_smtp.checks.dkim import Chain
from postroom_smtp.checks.ports import SigningKeys
from postroom_smtp.protocol import arc
from postroom_smtp.protocol.authentication import Finding, Result
from postroom_smtp.protocol.authors import UNTOLD, TooManyAuthors, author_domains
from postroom_smtp.protocol.dkim import Canon, SigningKey, write_signature
from postroom_smtp.protocol.fields import Field
from postroom_smtp.spool import Spool

# What RFC 6376 section 5.4.1 names, and what a reader sees or a program goes by. Those of the first
# are signed once more than they are there, so that none can be added (section 8.15).
OVERSIGNED = (
    "from",
    "to",
    "cc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
)
SIGNED = (
    "sender",
    "resent-from",
    "resent-to",
    "resent-cc",
    "resent-date",
    "resent-message-id",
    "content-id",
    "content-description",
    "list-id",
    "list-help",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-subscribe",
    "list-post",
    "list-owner",
    "list-archive",
)
MOST_OF_A_NAME = 10  # that are signed
WHOLE = (Canon.RELAXED, None)

SIGNATURES = Counter("postroom_smtp_signatures_total", "Signatures by algorithm", ["algorithm"])
SEALS = Counter("postroom_smtp_seals_total", "Seals of ARC by what the chain before was", ["chain"])


class Signer:
    """Signs with the keys that there are; where there are none nothing is signed.

    Args:
        identifier: our authserv-id.
    """

    def __init__(self, keys: SigningKeys, workers: Workers, identifier: str) -> None:
        self._keys = keys
        self._workers = workers
        self._identifier = identifier

    async def sign(
        self,
        message: Spool,
        *,
        added: bytes = b"",
        removed: Iterable[tuple[str, int]] = (),
    ) -> bytes:
        """The DKIM-Signature fields of a message of our people, one for each key that the author's
        domain has; they go before everything else.

        Args:
            added: fields that will stand before the message.
            removed: fields that will be taken out of it (see `Judgement`).

        Raises PostroomError where the keys can't be had, OSError.
        """
        content = Content(message, self._workers, added=added, removed=frozenset(removed))
        try:
            domains = author_domains(content.fields)
        except TooManyAuthors:
            return b""
        if len(domains) != 1 or UNTOLD in domains or not content.whole:
            return b""
        keys = await self._keys.keys(domains[0])
        if not keys:
            return b""
        body_hash = await _body_hash(content)
        names = signed_names(content.fields)
        written: list[bytes] = []
        for key in keys:
            tags = [
                ("v", "1"),
                ("a", key.algorithm),
                ("c", "relaxed/relaxed"),
                ("d", key.domain),
                ("s", key.selector),
                ("t", str(int(time.time()))),
                ("h", ":".join(names)),
                ("bh", body_hash),
            ]
            field = await self._workers.run(
                # An RSA signature takes as long as much to hash, and leaves others to work.
                content.size + _weight(key),
                write_signature,
                "DKIM-Signature",
                tags,
                names,
                content.fields,
                key,
            )
            written.append(field.raw)
            SIGNATURES.labels(key.algorithm).inc()
        return b"".join(written)

    async def seal(
        self, content: Content, domain: str, chain: Chain, findings: tuple[Finding, ...]
    ) -> bytes:
        """The fields of ARC for a message that is handed on; none where it can't be sealed.

        Args:
            domain: of ours, who seals.
            chain: what was found of the chain so far.
            findings: all that was found out.

        Raises PostroomError where the keys can't be had, OSError.
        """
        # Who finds a chain that is known to be broken adds nothing to it (section 5.1), and what
        # isn't known now can't be told.
        closed = any(_says_failed(field) for field in content.named(arc.SEAL))
        unknown = chain.result not in (Result.NONE, Result.PASS, Result.FAIL)
        if closed or unknown or chain.length >= arc.MOST_SETS or not content.whole:
            return b""
        keys = sorted(await self._keys.keys(domain), key=lambda key: key.algorithm != "rsa-sha256")
        if not keys:
            return b""
        names = signed_names(content.fields)
        names += [DKIM] * len(content.named(DKIM)[:MOST_OF_A_NAME])
        written = await self._workers.run(
            content.size + _weight(keys[0]),
            arc.write_set,
            chain.length + 1,
            chain.sets,
            chain.result,
            self._identifier,
            findings,
            names,
            content.fields,
            await _body_hash(content),
            keys[0],
            int(time.time()),
        )
        SEALS.labels(chain.result.value).inc()
        return written


def signed_names(fields: Sequence[Field]) -> list[str]:
    """The names of the fields that are signed, each as often as it is signed."""
    there = Multiset(field.name for field in fields)
    names: list[str] = []
    for name in (*OVERSIGNED, *SIGNED):
        names += [name] * (min(there[name], MOST_OF_A_NAME) + (name in OVERSIGNED))
    return names


async def _body_hash(content: Content) -> str:
    hashed = await content.hash_body([WHOLE])
    return base64.b64encode(hashed[WHOLE].digest).decode()


def _weight(key: SigningKey) -> int:
    return 1024 * 1024 if key.algorithm.startswith("rsa") else 0


def _says_failed(field: Field) -> bool:
    return b"cv=fail" in field.unfolded.replace(b" ", b"").lower()
