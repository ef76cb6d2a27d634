from email.headerregistry import Address as StdlibAddress
from email.headerregistry import AddressHeader
from email.utils import getaddresses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import Address, GroupEnd, GroupStart, limits, parse_addresses
from postroom_mime.address import AddressItem


@pytest.mark.parametrize(
    ("field", "items"),
    [
        (b"", []),
        (b"  ,, ,", []),
        (b"a@b", [Address(None, b"a", b"b")]),
        (b"A B <a@b>", [Address(b"A B", b"a", b"b")]),
        (b"A  B\t<a@b>", [Address(b"A B", b"a", b"b")]),
        (b'"A, B" <a@b>', [Address(b"A, B", b"a", b"b")]),
        (b'"A \\"B\\" \\\\" <a@b>', [Address(b'A "B" \\', b"a", b"b")]),
        (b'A "B" C <a@b>', [Address(b"A B C", b"a", b"b")]),
        (b'"" <a@b>', [Address(None, b"a", b"b")]),
        (b"<a@b>", [Address(None, b"a", b"b")]),
        (b"=?utf-8?Q?J=C3=B6rg?= =?utf-8?Q?M?= <a@b>",
         [Address(b"=?utf-8?Q?J=C3=B6rg?= =?utf-8?Q?M?=", b"a", b"b")]),
        ("Jörg <jörg@bücher.example>".encode(),
         [Address("Jörg".encode(), "jörg".encode(), "bücher.example".encode())]),
        (b'"d e"@b', [Address(None, b"d e", b"b")]),
        (b'"a@b"@c', [Address(None, b"a@b", b"c")]),
        (b"a@[192.0.2.1]", [Address(None, b"a", b"[192.0.2.1]")]),
        (b"a@b, C <c@d>", [Address(None, b"a", b"b"), Address(b"C", b"c", b"d")]),
        # RFC 5322 section 4.4 and appendix A.6.1: obsolete addressing
        (b"Joe Q. Public <john . q . public @ example . com>",
         [Address(b"Joe Q. Public", b"john.q.public", b"example.com")]),
        (b"Mary Smith <@node.test,@b.test:mary@example.net>, , jdoe@test  . example",
         [Address(b"Mary Smith", b"mary", b"example.net", b"@node.test,@b.test"),
          Address(None, b"jdoe", b"test.example")]),
        # the note of RFC 5322 section 3.4: the name in a comment
        (b"gray@example.org (Terry Gray)", [Address(b"Terry Gray", b"gray", b"example.org")]),
        (b"Name <a@b> (comment)", [Address(b"Name", b"a", b"b")]),
        # appendix A.5 and A.1.3
        (b"Pete(A nice \\) chap) <pete(his account)@silly.test(his (nested) host)>",
         [Address(b"Pete", b"pete", b"silly.test")]),
        (b"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
         [GroupStart(b"A Group"), Address(b"Ed Jones", b"c", b"a.test"),
          Address(None, b"joe", b"where.test"), Address(b"John", b"jdoe", b"one.test"),
          GroupEnd()]),
        (b"Undisclosed recipients:;", [GroupStart(b"Undisclosed recipients"), GroupEnd()]),
        (b"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
         [GroupStart(b"Hidden recipients"), GroupEnd()]),
        # what is no address
        (b"lonely", [Address(None, b"lonely", b"")]),
        (b"two words", [Address(None, b"two words", b"")]),
        (b"<>", [Address(None, b"", b"")]),
        (b"Daemon <>", [Address(b"Daemon", b"", b"")]),
        (b"<a@b", [Address(None, b"a", b"b")]),
        (b"<a@b, c@d", [Address(None, b"a", b"b"), Address(None, b"c", b"d")]),
        (b"a@b>, c@d", [Address(None, b"a", b"b"), Address(None, b"c", b"d")]),
        (b"a@b <c@d>", [Address(b"a@b", b"c", b"d")]),
        (b"a@b@c", [Address(None, b"a@b", b"c")]),
        (b"a@b; c@d", [Address(None, b"a", b"b"), Address(None, b"c", b"d")]),
        (b"G: a@b", [GroupStart(b"G"), Address(None, b"a", b"b"), GroupEnd()]),
        (b"(", []),
        (b'"open <a@b>', [Address(None, b"open <a@b>", b"")]),
    ],
)  # fmt: skip
def test_parse(field: bytes, items: list[AddressItem]) -> None:
    assert parse_addresses(field) == items


def test_number_of_addresses_is_bounded_and_a_cut_group_ends() -> None:
    items = parse_addresses(b"G:" + b"a@b," * (2 * limits.ADDRESSES))
    assert len(items) == limits.ADDRESSES + 1
    assert items[-1] == GroupEnd()
    assert len(parse_addresses(b":" * 100_000)) <= 2 * limits.ADDRESSES


@given(st.binary(max_size=200))
def test_any_bytes_are_addresses(field: bytes) -> None:
    items = parse_addresses(field)
    opened = [item for item in items if isinstance(item, GroupStart)]
    closed = [item for item in items if isinstance(item, GroupEnd)]
    assert len(opened) == len(closed)


@given(st.text('ab .,:;<>@()"\\[]', max_size=30))
def test_any_specials_are_addresses(field: str) -> None:
    assert isinstance(parse_addresses(field.encode()), list)


ATOMS = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]{1,8}", fullmatch=True)
DOT_ATOMS = st.lists(ATOMS, min_size=1, max_size=3).map(".".join)
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126) | st.just(" "), max_size=12)


@given(st.lists(st.tuples(NAMES.map(lambda name: " ".join(name.split())), DOT_ATOMS, DOT_ATOMS)))
def test_agrees_with_the_stdlib(people: list[tuple[str, str, str]]) -> None:
    written = [
        str(StdlibAddress(display_name=name, username=local, domain=domain))
        for name, local, domain in people
    ]
    expected = [Address(n.encode() or None, u.encode(), d.encode()) for n, u, d in people]
    assert parse_addresses(", ".join(written).encode()) == expected
    assert [name for name, _ in getaddresses(written)] == [name for name, _, _ in people]


@pytest.mark.parametrize("spaced", [False, True])
@given(st.lists(st.tuples(DOT_ATOMS, DOT_ATOMS), min_size=1, max_size=4))
def test_groups_agree_with_the_stdlib(spaced: bool, people: list[tuple[str, str]]) -> None:
    addresses = [f"{local}@{domain}" for local, domain in people]
    field = f"some people:{' , ' if spaced else ','}".join(["", ", ".join(addresses)]) + ";"
    parsed: dict[str, Any] = {}
    AddressHeader.parse(field, parsed)
    expected = [a for group in parsed["groups"] for a in group.addresses]
    found = [item for item in parse_addresses(field.encode()) if isinstance(item, Address)]
    assert [(a.mailbox.decode(), a.host.decode()) for a in found] == [
        (a.username, a.domain) for a in expected
    ]
