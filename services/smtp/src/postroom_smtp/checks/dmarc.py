"""Whether a message is from the domain that its reader sees (RFC 7489)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from publicsuffixlist import PublicSuffixList

from postroom_smtp.checks.dkim import Chain, Verified
from postroom_smtp.dns import DnsFailure, Resolver
from postroom_smtp.protocol.authentication import Finding, Result, method_results
from postroom_smtp.protocol.dmarc import Policy, Wish, is_record, parse_policy
from postroom_smtp.protocol.domain import as_name


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one author's domain.

    Attributes:
        wish: what the domain wants done with this message; NONE where it passes.
        published: what its record says.
        overruled: it failed, and who handed it on is trusted to have seen it pass.
    """

    result: Result
    domain: str = ""
    wish: Wish = Wish.NONE
    published: Wish | None = None
    why: str = ""
    overruled: bool = False

    @property
    def finding(self) -> Finding:
        """RFC 7489 section 11.1."""
        said = [f"p={self.published}"] if self.published is not None else []
        said += [f"dis={self.wish}"] if self.result is Result.FAIL else []
        said += [self.why] if self.why else []
        return Finding("dmarc", self.result, (("header.from", self.domain),), " ".join(said))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What alignment is judged by.

    Attributes:
        spf: the result for the domain of the reverse-path, or of HELO for the null one.
    """

    spf: Result
    spf_domain: str
    signatures: Sequence[Verified] = ()
    chain: Chain = field(default_factory=lambda: Chain(Result.NONE))


class Dmarc:
    """Judges authors' domains.

    Args:
        trusted: the domains of those who seal (ARC) whose word counts.
        chance: from 0 to 1, for percentages.
    """

    def __init__(
        self,
        resolver: Resolver,
        trusted: Iterable[str] = (),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._resolver = resolver
        self._trusted = frozenset(trusted)
        self._chance = chance

    async def judge(
        self, domain: str, evidence: Evidence, resolver: Resolver | None = None
    ) -> Verdict:
        """RFC 7489 section 6.6.2.

        Args:
            resolver: of the message; None: the one for all.
        """
        organization = organizational(domain)
        try:
            policy, inherited = await self._discover(
                resolver or self._resolver, domain, organization
            )
        except DnsFailure:
            return Verdict(Result.TEMPERROR, domain, why="its record can't be had now")
        if policy is None:
            return Verdict(Result.NONE, domain)
        published = policy.below if inherited else policy.wish
        spf = _aligned(evidence.spf_domain, domain, strict=policy.strict_spf)
        signed = {
            one.result
            for one in evidence.signatures
            if _aligned(one.domain, domain, strict=policy.strict_dkim)
        }
        if Result.PASS in signed or (spf and evidence.spf is Result.PASS):
            return Verdict(Result.PASS, domain, published=published)
        # What can't be known now may be anybody's.
        unknown = any(
            one.result is Result.TEMPERROR and not one.domain for one in evidence.signatures
        )
        unknown = unknown or bool(self._trusted and evidence.chain.result is Result.TEMPERROR)
        if unknown or Result.TEMPERROR in signed or (spf and evidence.spf is Result.TEMPERROR):
            return Verdict(Result.TEMPERROR, domain, published=published, why="not known now")
        if sealer := self._vouched(evidence.chain):
            why = f"arc of {sealer}"
            return Verdict(Result.FAIL, domain, published=published, why=why, overruled=True)
        wish = published if self._chance() * 100 < policy.percentage else published.milder
        return Verdict(Result.FAIL, domain, wish, published)

    async def _discover(
        self, resolver: Resolver, domain: str, organization: str
    ) -> tuple[Policy | None, bool]:
        """The policy, and whether it is the one of the organization (section 6.6.3)."""
        for each in dict.fromkeys((domain, organization)):
            found = (await resolver.texts("_dmarc." + each.replace("\\", "\\\\"))).records
            records = [text for text in found if is_record(text)]
            if records:
                policy = parse_policy(records[0]) if len(records) == 1 else None
                return policy, each != domain
        return None, False

    def _vouched(self, chain: Chain) -> str:
        """Who of those that are trusted says that the message passed, with nobody else since."""
        if chain.result is not Result.PASS:
            return ""
        for one in reversed(chain.sets):
            if one.seal.domain not in self._trusted:
                return ""
            if method_results(one.results.value, "dmarc") == {"pass"}:
                return one.seal.domain
        return ""


def strictest(verdicts: Sequence[Verdict]) -> Verdict:
    """The one that decides where there are several authors (section 6.6.1)."""
    wishes = list(Wish)
    return max(
        verdicts,
        key=lambda one: (wishes.index(one.wish), one.result is Result.TEMPERROR),
    )


def organizational(domain: str) -> str:
    """Under which name a domain was registered (section 3.2); itself where that can't be said."""
    return read_suffixes().privatesuffix(domain) or domain


def _aligned(other: str, domain: str, *, strict: bool) -> bool:
    """RFC 7489 section 3.1."""
    name = as_name(other)
    if name is None:
        return False
    return name == domain if strict else organizational(name) == organizational(domain)


@cache
def read_suffixes() -> PublicSuffixList:
    """The public suffix list, read once: that takes a while."""
    return PublicSuffixList()
