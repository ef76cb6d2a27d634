"""What is published, held against what is to be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_admin.model import DkimKey, KeyState
from postroom_admin.publishing.judging import Finding, Verdict, is_published, judge, tags
from postroom_admin.publishing.records import Purpose, Record, Setup, key_record, records

from tests.unit.admin.fakes import MADE

OK, ADVICE, MISSING, WRONG = Verdict.OK, Verdict.ADVICE, Verdict.MISSING, Verdict.WRONG
SETUP = Setup.of("example.org", ["mx1.example.org", "mx2.example.org"], ["192.0.2.1"])
KEY = DkimKey(
    "example.org", "s1", "rsa-sha256", KeyState.ACTIVE, "v=DKIM1; k=rsa; p=abc", MADE, None
)


def wanted(purpose: Purpose, kind: str = "TXT") -> list[Record]:
    found = [one for one in records(SETUP, []) if (one.purpose, one.kind) == (purpose, kind)]
    return found if purpose is Purpose.MX else found[:1]


def found(purpose: Purpose, *published: str, kind: str = "TXT") -> Finding:
    return judge(wanted(purpose, kind), published, MADE)


@pytest.mark.parametrize(
    ("published", "verdict", "advice"),
    [
        (["10 mx1.example.org", "20 mx2.example.org"], OK, ""),
        (["5 mx2.example.org", "5 mx1.example.org"], OK, ""),
        ([], MISSING, "publish it"),
        (["0 ."], WRONG, "null MX"),
        (["10 mx1.example.org"], WRONG, "add mx2.example.org"),
        (["10 mx.elsewhere.example"], WRONG, "add mx1.example.org, mx2.example.org"),
        (
            ["10 mx1.example.org", "20 mx2.example.org", "30 backup.example.net"],
            ADVICE,
            "backup.example.net too",
        ),
    ],
)
def test_mx(published: list[str], verdict: Verdict, advice: str) -> None:
    finding = found(Purpose.MX, *published, kind="MX")
    assert finding.verdict is verdict
    assert advice in finding.next
    assert finding.good == (verdict in (OK, ADVICE))
    assert finding.wanted == ("10 mx1.example.org", "20 mx2.example.org")


@pytest.mark.parametrize(
    ("published", "verdict", "advice"),
    [
        (["v=spf1 mx ip4:192.0.2.1 -all"], OK, ""),
        (["V=SPF1  +MX ip4:192.0.2.1 include:x.example ~all"], OK, ""),
        (["google-site-verification=x", "v=spf1 mx ip4:192.0.2.1 -all"], OK, ""),
        ([], MISSING, "publish it"),
        (["v=spf10 mx -all"], MISSING, "publish it"),
        (["v=spf1 mx -all", "v=spf1 -all"], WRONG, "leave one alone of 2"),
        (["v=spf1 mx +all"], WRONG, "lets everybody send"),
        (["v=spf1 all"], WRONG, "lets everybody send"),
        (["v=spf1 -all"], WRONG, "add mx ip4:192.0.2.1"),
        (["v=spf1"], WRONG, "add mx ip4:192.0.2.1"),
        (["v=spf1 include:spf.example.net -all"], ADVICE, "It has no mx ip4:192.0.2.1"),
        (["v=spf1 redirect=spf.example.net"], ADVICE, "It has no mx"),
        (["v=spf1 mx ip4:192.0.2.1"], ADVICE, "end it in -all"),
        (["v=spf1 mx ip4:192.0.2.1 ?all"], ADVICE, "end it in -all"),
    ],
)
def test_spf(published: list[str], verdict: Verdict, advice: str) -> None:
    finding = found(Purpose.SPF, *published)
    assert finding.verdict is verdict
    assert advice in finding.next


@pytest.mark.parametrize(
    ("published", "verdict", "advice"),
    [
        (["v=DMARC1; p=reject; rua=mailto:x@example.org"], OK, ""),
        (["v=DMARC1;p=QUARANTINE;rua=mailto:x@example.org;pct=50"], OK, ""),
        (["v=DMARC1; p=reject"], ADVICE, "without rua="),
        (["v=DMARC1; p=none; rua=mailto:x@example.org"], ADVICE, "p=none only watches"),
        (["v=DMARC1; rua=mailto:x@example.org"], WRONG, "give it a policy"),
        (["v=DMARC1; p=refuse"], WRONG, "give it a policy"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], WRONG, "leave one alone"),
        (["some text"], MISSING, "publish it"),
        ([], MISSING, "publish it"),
    ],
)
def test_dmarc(published: list[str], verdict: Verdict, advice: str) -> None:
    finding = found(Purpose.DMARC, *published)
    assert finding.verdict is verdict
    assert advice in finding.next


@pytest.mark.parametrize(
    ("purpose", "published", "verdict"),
    [
        (Purpose.MTA_STS, ["v=STSv1; id=20300102;"], OK),
        (Purpose.MTA_STS, ["v=STSv1"], WRONG),
        (Purpose.MTA_STS, ["v=STSv1; id=2030-01-02"], WRONG),
        (Purpose.MTA_STS, [], MISSING),
        (Purpose.TLS_RPT, ["v=TLSRPTv1; rua=mailto:x@example.org"], OK),
        (Purpose.TLS_RPT, ["v=TLSRPTv1; rua=https://example.org/r"], OK),
        (Purpose.TLS_RPT, ["v=TLSRPTv1"], WRONG),
        (Purpose.TLS_RPT, ["v=TLSRPTv1; rua=ftp://x"], WRONG),
    ],
)
def test_what_may_be_left_out_is_no_fault(
    purpose: Purpose, published: list[str], verdict: Verdict
) -> None:
    finding = found(purpose, *published)
    assert finding.verdict is verdict
    assert finding.good
    assert not finding.needed


@pytest.mark.parametrize(
    ("published", "verdict"),
    [
        (["0 1 465 mx1.example.org"], OK),
        (["7 9 465 mx1.example.org", "0 0 465 other.example"], OK),
        (["0 0 0 ."], OK),
        (["0 1 465 other.example"], ADVICE),
        (["0 1 8465 mx1.example.org"], ADVICE),
        ([], MISSING),
    ],
)
def test_services(published: list[str], verdict: Verdict) -> None:
    assert found(Purpose.AUTOCONFIG, *published, kind="SRV").verdict is verdict


def test_the_host_of_the_policy_has_an_address() -> None:
    assert found(Purpose.MTA_STS, "192.0.2.1", kind="CNAME").verdict is OK
    assert found(Purpose.MTA_STS, kind="CNAME").verdict is MISSING


def of_key(key: DkimKey, *published: str, days: int = 0) -> Finding:
    return judge([key_record(key)], published, MADE + timedelta(days=days))


@pytest.mark.parametrize(
    ("published", "verdict", "advice"),
    [
        ([KEY.record], OK, ""),
        (["k=rsa;p= a b\tc ;v=DKIM1"], OK, ""),
        (["p=abc"], OK, ""),
        (["v=DKIM1; k=rsa; p=other"], WRONG, "another key is there"),
        (["v=DKIM1; k=ed25519; p=abc"], WRONG, "another key is there"),
        (["v=DKIM1; p="], WRONG, "another key is there"),
        (["nonsense"], WRONG, "another key is there"),
        ([KEY.record, "v=DKIM1; p=other"], WRONG, "leave one alone of 2"),
        (["v=DKIM1; t=s:y; p=abc"], ADVICE, "take t=y away"),
        ([], MISSING, "nobody believes"),
    ],
)
def test_the_key_that_signs(published: list[str], verdict: Verdict, advice: str) -> None:
    finding = of_key(KEY, *published)
    assert finding.verdict is verdict
    assert advice in finding.next
    assert is_published(KEY, published) == (verdict in (OK, ADVICE))


def test_a_key_that_is_to_sign() -> None:
    new = replace(KEY, state=KeyState.NEW)
    assert of_key(new).next == "publish it, then `postroom dkim activate example.org s1`"
    assert of_key(new).good
    assert of_key(new, KEY.record).next == "`postroom dkim activate example.org s1` lets it sign"


def test_a_key_that_signs_no_more() -> None:
    old = replace(KEY, state=KeyState.RETIRED, retired_at=MADE)
    assert of_key(old, KEY.record, days=6).verdict is OK
    assert "publish it until 2030-01-09" in of_key(old, days=6).next
    assert "take the record away" in of_key(old, KEY.record, days=8).next
    assert "nobody needs it" in of_key(old, days=8).next


def test_tags() -> None:
    assert tags(" V=DKIM1 ; p = a=b ;; x; p=second") == {"v": "DKIM1", "p": "a=b"}


@given(st.lists(st.text(max_size=80), max_size=3))
def test_whatever_others_publish_is_judged(published: list[str]) -> None:
    for record in [*records(SETUP, []), key_record(KEY)]:
        if record.kind == "TXT":
            finding = judge([record], published, MADE)
            assert (finding.verdict is MISSING) <= bool(finding.next)
            assert finding.published == tuple(sorted(published))
