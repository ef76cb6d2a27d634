"""The policy of the SMTP front: who sends is found out, mail is judged by that and by filters.

What comes first decides: a blocklist before a greylist, the author's domain before filters of
content, which cost most. What refuses says so to the client; nothing is bounced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError
from postroom_chassis.net.listener import Network
from prometheus_client import Counter, Histogram

from postroom_smtp.checks import clients, dkim, spf
from postroom_smtp.checks.clients import NOT_LISTED, Named, Score, read_address
from postroom_smtp.checks.content import Content, Workers
from postroom_smtp.checks.dkim import Chain, Verified
from postroom_smtp.checks.dmarc import Dmarc, Evidence, Verdict, strictest
from postroom_smtp.checks.edits import Edits
from postroom_smtp.checks.filters import Filter
from postroom_smtp.checks.kept import Kept
from postroom_smtp.checks.screening import Screen
from postroom_smtp.checks.settings import (
    CheckSettings,
    Enforcement,
    Failing,
    Spam,
    Stage,
    Weight,
    parse_blocklists,
)
from postroom_smtp.checks.signing import Signer
from postroom_smtp.checks.spf import Evaluation
from postroom_smtp.dns import Resolver
from postroom_smtp.ports import Judgement, Sending
from postroom_smtp.protocol import reply
from postroom_smtp.protocol.authentication import (
    Finding,
    Result,
    authentication_results,
    claims,
)
from postroom_smtp.protocol.authors import UNTOLD, TooManyAuthors, author_domains
from postroom_smtp.protocol.dmarc import Wish
from postroom_smtp.protocol.reply import Reply
from postroom_smtp.spool import Spool

log = logs.logger(__name__)

T = TypeVar("T")

# What is asked, and how.
Step = tuple[str, Callable[[], Awaitable[Reply | None]]]

REMEMBERED = 10_000  # senders, and addresses
REMEMBERED_SECONDS = 120.0
LOOKUPS_AT_ONCE = 5  # to find out who sent one message
MOST_VERDICT = 4_000  # characters
ALWAYS_REACHABLE = frozenset({"postmaster", "abuse"})  # RFC 5321 section 4.5.1, RFC 2142
RESULTS_FIELD = "authentication-results"

CHECKS = Counter("postroom_smtp_checks_total", "Checks by method and result", ["method", "result"])
REFUSALS = Counter("postroom_smtp_check_refusals_total", "Refusals by what refused", ["by"])
SECONDS = Histogram("postroom_smtp_check_seconds", "How long a message was checked")

FORGED = Reply(550, "5.7.1", "the author's domain says that this isn't from it (DMARC)")
NO_REVERSE = Reply(550, "5.7.25", "your address has no name that leads back to it")
HEADER_TOO_LARGE = Reply(552, "5.3.4", "the header of the message is too large")
NOT_KNOWN_NOW = Reply(451, "4.7.5", "the author's domain can't be looked up now, try again later")


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found out about who sent a message; None: it wasn't asked for."""

    spf: Evaluation | None = None
    spf_domain: str = ""
    iprev: Named | None = None
    signatures: tuple[Verified, ...] | None = None
    chain: Chain = field(default_factory=lambda: Chain(Result.NONE))
    dmarc: tuple[Verdict, ...] = ()
    listed: Score = NOT_LISTED


class Checks:
    """Policy.

    Args:
        name: of this host, which is our authserv-id unless the settings name another.
        filters: in the order in which they are asked.
    """

    def __init__(
        self,
        settings: CheckSettings,
        name: str,
        resolver: Resolver,
        screen: Screen,
        signer: Signer,
        workers: Workers,
        filters: Sequence[Filter] = (),
    ) -> None:
        self._settings = settings
        self._identifier = settings.authserv_id or name.lower()
        self._resolver = resolver
        self._screen = screen
        self._signer = signer
        self._workers = workers
        self._filters = tuple(filters)
        self._dmarc = Dmarc(resolver, settings.trusted_sealers)
        self._exempt = settings.exempt
        self._address_lists = parse_blocklists(settings.dnsbls)
        self._domain_lists = parse_blocklists(settings.dnsbl_domains)
        self._spf = Kept[tuple[str, str, str], Evaluation](
            REMEMBERED_SECONDS, REMEMBERED, worth=lambda found: found.result is not Result.TEMPERROR
        )
        self._named = Kept[str, Named](
            REMEMBERED_SECONDS, REMEMBERED, worth=lambda found: found.result is not Result.TEMPERROR
        )
        self._scores = Kept[tuple[str, str], Score](
            REMEMBERED_SECONDS, REMEMBERED, worth=lambda found: not found.silent
        )

    async def connected(self, sending: Sending) -> Reply | None:
        steps: list[Step] = []
        if not self._is_exempt(sending):
            steps.append(("rate", lambda: self._screen.connected(sending)))
            if self._settings.dnsbl_stage is Stage.GREETING:
                steps.append(("dnsbl", lambda: self._listed(sending)))
        refused = await self._first(*steps, *self._filtered(sending, "connected"))
        if refused is None:
            return None
        # No other codes stand in the place of a greeting (RFC 5321 sections 3.1 and 3.8).
        return replace(refused, code=554 if refused.permanent else 421)

    async def mail(self, sending: Sending) -> Reply | None:
        steps: list[Step] = [("rate", lambda: self._screen.mail(sending))]
        if not self._is_exempt(sending):
            if self._settings.iprev is Weight.REFUSE:
                steps.append(("iprev", lambda: self._refused_by_name(sending)))
            if self._settings.spf is Weight.REFUSE:
                steps.append(("spf", lambda: self._refused_by_spf(sending)))
            steps.append(("concurrency", lambda: _now(self._screen.begin(sending))))
        refused = await self._first(*steps, *self._filtered(sending, "mail"))
        if refused is not None:
            self._screen.end(sending.connection)
        return refused

    async def recipient(self, sending: Sending, address: str) -> Reply | None:
        steps: list[Step] = [("rate", lambda: self._screen.recipient(sending, address))]
        local = (address.rpartition("@")[0] or address).lower()
        if not self._is_exempt(sending) and local not in ALWAYS_REACHABLE:
            steps.append(("dnsbl", lambda: self._listed(sending)))
            if self._settings.greylisting:
                steps.append(("greylist", lambda: self._greylisted(sending, address)))
        if not self._is_exempt(sending):
            steps.append(("concurrency", lambda: _now(self._screen.add(sending, address))))
        return await self._first(*steps, *self._filtered(sending, "recipient", address))

    async def message(self, sending: Sending, message: Spool) -> Judgement:
        try:
            with SECONDS.time():
                judgement = await self._judge(sending, message)
        except Exception:
            # Whatever it was, the mail is the sender's until we take it.
            log.exception("smtp.check_failed", message=sending.message_id)
            REFUSALS.labels("error").inc()
            return Judgement(reply.TRY_LATER)
        finally:
            self._screen.end(sending.connection)
        if judgement != Judgement(fields=judgement.fields, removed=judgement.removed):
            log.info(
                "smtp.checked",
                message=sending.message_id,
                verdict=judgement.verdict,
                refused=str(judgement.refused or ""),
                mailbox=judgement.mailbox,
                quiet=judgement.quiet,
            )
        return judgement

    async def ended(self, connection: str) -> None:
        self._screen.end(connection)
        for each in self._filters:
            await each.ended(connection)

    async def _judge(self, sending: Sending, message: Spool) -> Judgement:
        content = Content(message, self._workers)
        if not content.whole:
            # What can't be read to its end can't be judged. Who is trusted may send it.
            if self._is_exempt(sending):
                return Judgement()
            return self._refuse("header", HEADER_TOO_LARGE, Judgement())
        edits = Edits(content.fields)
        self._remove_foreign(edits)
        judgement, stated = Judgement(), Findings()
        findings: tuple[Finding, ...] = ()
        if not self._is_exempt(sending):
            stated = await self._find_out(sending, content)
            findings = _stated(stated, sending)
            for finding in findings:
                CHECKS.labels(finding.method, finding.result.value).inc()
            judgement = self._decide(stated, replace(judgement, verdict=_verdict(findings)))
            edits.insert_fields(authentication_results(self._identifier, findings))
        if judgement.refused is None:
            judgement = await self._filter(sending, message, edits, judgement)
        if judgement.refused is not None:
            return judgement
        if _is_good(stated) and not self._is_exempt(sending):
            self._screen.know(sending)
        sealed = await self._seal(sending, content, edits, stated, findings)
        return replace(
            judgement,
            fields=sealed + edits.added,
            removed=frozenset(edits.removed),
            sender=edits.sender,
            added=tuple(edits.recipients),
            dropped=frozenset(edits.dropped),
        )

    def _remove_foreign(self, edits: Edits) -> None:
        """Take away what says that it is from us (RFC 8601 section 5)."""
        for number in range(len(edits.entries) - 1, -1, -1):
            entry = edits.entries[number]
            if entry.name.lower() == RESULTS_FIELD.encode() and claims(
                entry.value, self._identifier
            ):
                edits.drop(number)

    async def _find_out(self, sending: Sending, content: Content) -> Findings:
        settings, address = self._settings, sending.client.address
        deadline = self._deadline()
        resolver = self._resolver.narrowed(LOOKUPS_AT_ONCE)
        unknown = Evaluation(Result.TEMPERROR, why="it took too long")
        evaluated, named, listed, (signatures, chain) = await asyncio.gather(
            self._in_time(self._evaluate_spf(sending, resolver), unknown, deadline),
            self._in_time(
                self._look_up_names(address, resolver), Named(Result.TEMPERROR), deadline
            ),
            self._score(sending),
            self._verify(content, resolver, deadline),
        )
        found = Findings(
            evaluated if settings.spf is not Weight.OFF else None,
            _spf_domain(sending),
            named if settings.iprev is not Weight.OFF else None,
            signatures,
            chain,
            listed=listed,
        )
        if settings.dmarc is Enforcement.OFF:
            return found
        return replace(found, dmarc=await self._judge_authors(content, found, resolver, deadline))

    async def _verify(
        self, content: Content, resolver: Resolver, deadline: float
    ) -> tuple[tuple[Verified, ...] | None, Chain]:
        """Signatures, then seals, which need what was hashed for those."""
        signatures: tuple[Verified, ...] | None = None
        chain = Chain(Result.NONE)
        why = "it took too long"
        if self._settings.dkim:
            most = self._settings.dkim_signatures
            signatures = await self._in_time(
                dkim.verify(content, resolver, most=most),
                (Verified(Result.TEMPERROR, why=why),),
                deadline,
            )
        if self._settings.arc:
            chain = await self._in_time(
                dkim.verify_chain(content, resolver),
                Chain(Result.TEMPERROR, why=why),
                deadline,
            )
        return signatures, chain

    async def _judge_authors(
        self, content: Content, found: Findings, resolver: Resolver, deadline: float
    ) -> tuple[Verdict, ...]:
        try:
            domains = author_domains(content.fields)
        except TooManyAuthors:
            # Nobody writes so many but to hide one among them.
            return (_suspect("there are too many authors"),)
        if not domains:
            return (_suspect("there is no author"),)
        evidence = Evidence(
            found.spf.result if found.spf else Result.NONE,
            found.spf_domain,
            found.signatures or (),
            found.chain,
        )
        late = Verdict(Result.TEMPERROR, why="it took too long")
        asked = [
            self._in_time(
                self._dmarc.judge(each, evidence, resolver), replace(late, domain=each), deadline
            )
            for each in domains
            if each != UNTOLD
        ]
        # Whose name it is like nobody can ask, and a reader may take it for theirs.
        untold = [_suspect("the domain of an author can't be one")] * (UNTOLD in domains)
        return (*await asyncio.gather(*asked), *untold)

    def _decide(self, found: Findings, judgement: Judgement) -> Judgement:
        """What becomes of it, by who sent it."""
        settings = self._settings
        if settings.dnsbl_junk and found.listed.total >= settings.dnsbl_junk:
            judgement = replace(judgement, mailbox=settings.junk_mailbox)
        if settings.dmarc is not Enforcement.ENFORCE or not found.dmarc:
            return judgement
        verdict = strictest(found.dmarc)
        if verdict.wish is Wish.REJECT and settings.dmarc_reject is Spam.REFUSE:
            return self._refuse("dmarc", FORGED, judgement)
        if verdict.wish is not Wish.NONE:
            return replace(judgement, mailbox=settings.junk_mailbox)
        unknown = any(one.result is Result.TEMPERROR for one in found.dmarc)
        if unknown and settings.dns_failing is Failing.TEMPFAIL:
            return self._refuse("dns", NOT_KNOWN_NOW, judgement)
        return judgement

    async def _filter(
        self, sending: Sending, message: Spool, edits: Edits, judgement: Judgement
    ) -> Judgement:
        if not self._is_filtered(sending) or message.size > self._settings.filter_bytes:
            return judgement
        said = [judgement.verdict] if judgement.verdict else []
        for each in self._filters:
            opinion = await each.message(sending, message, edits)
            if opinion.finding is not None:
                CHECKS.labels(opinion.finding.method, opinion.finding.result.value).inc()
                said.append(str(opinion.finding))
            judgement = replace(judgement, verdict="; ".join(said)[:MOST_VERDICT])
            if opinion.refused is not None:
                return self._refuse("filter", opinion.refused, judgement)
            if opinion.junk:
                judgement = replace(judgement, mailbox=self._settings.junk_mailbox)
            if opinion.quiet:
                return replace(judgement, quiet=True)
        return judgement

    async def _seal(
        self,
        sending: Sending,
        content: Content,
        edits: Edits,
        found: Findings,
        findings: tuple[Finding, ...],
    ) -> bytes:
        """ARC, where the message goes on to somebody elsewhere."""
        if not (self._settings.arc and sending.forwarded and findings):
            return b""
        named = (each.rpartition("@")[2] for each in sending.recipients)
        domain = self._settings.arc_domain or next(filter(None, named), "")
        if not domain:
            return b""
        changed = content.changed(edits.added, edits.removed, other_body=bool(edits.bodies))
        try:
            return await self._signer.seal(changed, domain.lower(), found.chain, findings)
        except PostroomError as error:
            # It only helps those who get it to believe us: mail doesn't wait for that.
            log.warning("smtp.seal_failed", message=sending.message_id, why=error.kind)
            return b""

    async def _listed(self, sending: Sending) -> Reply | None:
        score = await self._score(sending)
        if score.total >= self._settings.dnsbl_refuse:
            lists = ", ".join(score.lists)[:200]
            return Reply(554, "5.7.1", f"you are on a blocklist: {lists}")
        if score.silent and self._settings.dnsbl_failing is Failing.TEMPFAIL:
            return reply.TRY_LATER
        return None

    async def _score(self, sending: Sending) -> Score:
        """Of the address and, once it is known, of the domain of the sender."""
        address, seconds = sending.client.address, self._settings.dnsbl_seconds
        score = NOT_LISTED
        if self._address_lists and (found := read_address(address)) is not None:
            score = await self._scores.get(
                ("address", str(found)),
                partial(
                    clients.score_address,
                    self._resolver,
                    self._address_lists,
                    found,
                    seconds=seconds,
                ),
            )
        domain = _spf_domain(sending) if sending.sender is not None else ""
        if self._domain_lists and "." in domain.strip("."):
            score += await self._scores.get(
                ("domain", domain),
                lambda: clients.score_domain(
                    self._resolver, self._domain_lists, domain, seconds=seconds
                ),
            )
        return score

    async def _refused_by_name(self, sending: Sending) -> Reply | None:
        named = await self._in_time(
            self._look_up_names(sending.client.address), Named(Result.TEMPERROR)
        )
        if named.result is Result.TEMPERROR:
            return self._unknown()
        return None if named.result in (Result.PASS, Result.NONE) else NO_REVERSE

    async def _refused_by_spf(self, sending: Sending) -> Reply | None:
        found = await self._in_time(
            self._evaluate_spf(sending), Evaluation(Result.TEMPERROR, why="it took too long")
        )
        if found.result is Result.TEMPERROR:
            return self._unknown()
        if found.result is not Result.FAIL:
            return None
        domain = _spf_domain(sending).encode("ascii", "replace").decode()
        why = f": {found.explanation}" if found.explanation else ""
        return Reply(550, "5.7.23", f"{domain} says that you don't send for it (SPF){why}")

    async def _greylisted(self, sending: Sending, address: str) -> Reply | None:
        if self._settings.spf is not Weight.OFF:
            unknown = Evaluation(Result.TEMPERROR)
            if (await self._in_time(self._evaluate_spf(sending), unknown)).result is Result.PASS:
                return None
        return await self._screen.greylist(sending, address)

    def _unknown(self) -> Reply | None:
        return NOT_KNOWN_NOW if self._settings.dns_failing is Failing.TEMPFAIL else None

    async def _evaluate_spf(self, sending: Sending, resolver: Resolver | None = None) -> Evaluation:
        address, helo = read_address(sending.client.address), sending.name
        if self._settings.spf is Weight.OFF or address is None:
            return Evaluation(Result.NONE)
        domain = _spf_domain(sending)
        sender = sending.sender or f"postmaster@{domain}"
        return await self._spf.get(
            (str(address), helo, sender),
            lambda: spf.check_host(
                resolver or self._resolver,
                address,
                domain,
                sender,
                helo,
                receiver=self._identifier,
            ),
        )

    async def _look_up_names(self, address: str, resolver: Resolver | None = None) -> Named:
        found = read_address(address)
        if self._settings.iprev is Weight.OFF or found is None:
            return Named(Result.NONE)
        return await self._named.get(
            str(found), lambda: clients.look_up_names(resolver or self._resolver, found)
        )

    async def _in_time(self, work: Awaitable[T], late: T, deadline: float | None = None) -> T:
        """What comes of it, or `late` where it takes too long."""
        if deadline is None:
            deadline = self._deadline()
        try:
            async with asyncio.timeout_at(deadline):
                return await work
        except TimeoutError:
            return late

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._settings.check_seconds

    async def _first(self, *steps: Step) -> Reply | None:
        """The first reply of those that are asked, one after the other."""
        for by, ask in steps:
            try:
                refused = await ask()
            except Exception:
                log.exception("smtp.check_failed", by=by)
                by, refused = "error", reply.TRY_LATER
            if refused is not None:
                REFUSALS.labels(by).inc()
                return refused
        return None

    def _filtered(self, sending: Sending, stage: str, *more: str) -> list[Step]:
        if not self._is_filtered(sending):
            return []
        asked = [getattr(each, stage) for each in self._filters]
        return [("filter", partial(ask, sending, *more)) for ask in asked]

    def _is_exempt(self, sending: Sending) -> bool:
        """Whether nobody asks who sends it: our people and networks, and those named for it."""
        if sending.trusted or sending.identity is not None:
            return True
        return _is_in(self._exempt, sending.client.address)

    def _is_filtered(self, sending: Sending) -> bool:
        ours = sending.trusted or sending.identity is not None
        return not ours or self._settings.filter_submission

    def _refuse(self, by: str, refused: Reply, judgement: Judgement) -> Judgement:
        REFUSALS.labels(by).inc()
        return replace(judgement, refused=refused)


def _is_in(networks: Sequence[Network], address: str) -> bool:
    found = read_address(address)
    return found is not None and any(found in network for network in networks)


async def _now(refused: Reply | None) -> Reply | None:
    return refused


def _spf_domain(sending: Sending) -> str:
    """Of the reverse-path, or what the client calls itself where that is null."""
    if sending.sender:
        return sending.sender.rpartition("@")[2].lower()
    return sending.name.lower()


def _suspect(why: str) -> Verdict:
    """Of a message that doesn't say who it is from (RFC 7489 section 6.6.1)."""
    return Verdict(Result.PERMERROR, wish=Wish.QUARANTINE, why=why)


def _stated(found: Findings, sending: Sending) -> tuple[Finding, ...]:
    findings: list[Finding] = []
    if found.spf is not None:
        identity = (
            ("smtp.mailfrom", sending.sender) if sending.sender else ("smtp.helo", sending.name)
        )
        findings.append(Finding("spf", found.spf.result, (identity,), found.spf.why))
    if found.signatures is not None:
        findings += [one.finding for one in found.signatures] or [Finding("dkim", Result.NONE)]
    if found.chain.result is not Result.NONE:
        findings.append(found.chain.finding)
    findings += [one.finding for one in found.dmarc]
    if found.iprev is not None:
        findings.append(found.iprev.finding(sending.client.address))
    if found.listed.lists:
        comment = f"{found.listed.total}: {' '.join(found.listed.lists)}"
        findings.append(Finding("x-dnsbl", Result.FAIL, (), comment))
    return tuple(findings)


def _verdict(findings: Sequence[Finding]) -> str:
    return "; ".join(map(str, findings))[:MOST_VERDICT]


def _is_good(found: Findings) -> bool:
    """Whether somebody vouches for who sent it."""
    spf_passes = found.spf is not None and found.spf.result is Result.PASS
    return spf_passes or any(one.result is Result.PASS for one in found.signatures or ())
