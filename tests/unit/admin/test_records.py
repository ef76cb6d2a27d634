"""What a domain is to publish, as text."""

from __future__ import annotations

import dns.rdata
import dns.zone
import pytest
from postroom_admin.model import DkimKey, KeyState
from postroom_admin.publishing.records import (
    DmarcPolicy,
    Purpose,
    Setup,
    StsMode,
    host_name,
    key_record,
    quoted,
    records,
)
from postroom_chassis.errors import Kind, PostroomError

from tests.unit.admin.fakes import MADE

KEY = DkimKey(
    "example.org", "s1", "rsa-sha256", KeyState.ACTIVE, f"v=DKIM1; k=rsa; p={'x' * 392}", MADE, None
)


def lines(setup: Setup, *keys: DkimKey) -> list[str]:
    return [record.line for record in records(setup, keys)]


def test_a_domain_as_it_mostly_is() -> None:
    assert [line for line in lines(Setup.of("Example.ORG.")) if "SRV" not in line] == [
        "example.org. 3600 IN MX 10 mail.example.org.",
        'example.org. 3600 IN TXT "v=spf1 mx -all"',
        '_dmarc.example.org. 3600 IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@example.org"',
        f'_mta-sts.example.org. 3600 IN TXT "v=STSv1; id={Setup.of("example.org").sts_id}"',
        "mta-sts.example.org. 3600 IN CNAME mail.example.org.",
        '_smtp._tls.example.org. 3600 IN TXT "v=TLSRPTv1; rua=mailto:postmaster@example.org"',
    ]


def test_mail_programs_find_tls_first() -> None:
    found = [line for line in lines(Setup.of("example.org", ["mx.example.net"])) if "SRV" in line]
    assert found == [
        "_submissions._tcp.example.org. 3600 IN SRV 0 1 465 mx.example.net.",
        "_submission._tcp.example.org. 3600 IN SRV 10 1 587 mx.example.net.",
        "_imaps._tcp.example.org. 3600 IN SRV 0 1 993 mx.example.net.",
        "_imap._tcp.example.org. 3600 IN SRV 10 1 143 mx.example.net.",
        "_pop3s._tcp.example.org. 3600 IN SRV 20 1 995 mx.example.net.",
        "_pop3._tcp.example.org. 3600 IN SRV 30 1 110 mx.example.net.",
    ]


def test_a_domain_with_several_hosts_and_other_senders() -> None:
    setup = Setup.of(
        "example.org",
        ["mx1.example.net", "MX2.example.net."],
        ["192.0.2.1", "198.51.100.0/24", "2001:db8::/32"],
        "reports@dmarc.example.com",
        DmarcPolicy.REJECT,
        StsMode.ENFORCE,
    )
    found = lines(setup)
    assert found[:3] == [
        "example.org. 3600 IN MX 10 mx1.example.net.",
        "example.org. 3600 IN MX 20 mx2.example.net.",
        'example.org. 3600 IN TXT "v=spf1 mx ip4:192.0.2.1 ip4:198.51.100.0/24 ip6:2001:db8::/32'
        ' -all"',
    ]
    assert '"v=DMARC1; p=reject; rua=mailto:reports@dmarc.example.com"' in found[3]
    assert found[4] == 'example.org._report._dmarc.dmarc.example.com. 3600 IN TXT "v=DMARC1"'
    assert setup.sts_policy == (
        "version: STSv1\r\nmode: enforce\r\nmx: mx1.example.net\r\nmx: mx2.example.net\r\n"
        "max_age: 604800\r\n"
    )


def test_another_policy_has_another_id() -> None:
    one, two = Setup.of("example.org"), Setup.of("example.org", sts=StsMode.ENFORCE)
    assert one.sts_id != two.sts_id
    assert one.sts_id == Setup.of("example.org").sts_id
    assert one.sts_id.isalnum()
    assert len(one.sts_id) <= 32


def test_keys_are_where_others_look_for_them() -> None:
    record = key_record(KEY)
    assert (record.purpose, record.name) == (Purpose.DKIM, "s1._domainkey.example.org")
    assert record.needed
    written = record.line.partition(" TXT ")[2]
    read = dns.rdata.from_text("IN", "TXT", written)
    assert b"".join(read.strings).decode() == KEY.record
    assert all(len(piece) <= 255 for piece in read.strings)
    wide = DkimKey("bücher.example", "s1", "rsa-sha256", KeyState.NEW, "v=DKIM1", MADE, None)
    assert key_record(wide).name == "s1._domainkey.xn--bcher-kva.example"
    assert not key_record(wide).needed


def test_all_of_it_is_a_zone() -> None:
    text = "\n".join(lines(Setup.of("bücher.example"), KEY))
    zone = dns.zone.from_text(
        f"$ORIGIN xn--bcher-kva.example.\n@ 1 IN SOA a b 1 1 1 1 1\n{text}",
        check_origin=False,
    )
    assert zone.get_rdataset("@", "MX") is not None
    assert zone.get_rdataset("_imaps._tcp", "SRV") is not None


@pytest.mark.parametrize("text", ["", "a", "x" * 255, "x" * 256, 'a"b\\c' * 60, '"' * 300])
def test_a_text_of_any_length_is_written_as_strings(text: str) -> None:
    read = dns.rdata.from_text("IN", "TXT", quoted(text))
    assert b"".join(read.strings).decode() == text


@pytest.mark.parametrize(
    "text", ["", ".", "a b", "a..b", "x" * 64 + ".org", "a_b.org", "-a.org", "a\n.org", '"', "a;b"]
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(PostroomError) as refused:
        host_name(text)
    assert refused.value.kind is Kind.INVALID


@pytest.mark.parametrize(
    "wrong",
    [
        {"hosts": ["mail example.org"]},
        {"hosts": ["mx.example.org"] * 11},
        {"networks": ["everywhere"]},
        {"networks": ["192.0.2.1/24"]},
        {"networks": ["192.0.2.1"] * 21},
        {"reports": "postmaster"},
        {"reports": "a,b@example.org"},
        {"reports": 'a"@example.org'},
        {"reports": "a@ example.org;"},
    ],
)
def test_what_can_not_be_published_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(PostroomError) as refused:
        Setup.of("example.org", **wrong)  # type: ignore[arg-type]
    assert refused.value.kind is Kind.INVALID
