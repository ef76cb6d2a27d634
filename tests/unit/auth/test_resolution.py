"""Ways through aliases, whatever their shape."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from postroom_auth.domain.address import Address
from postroom_auth.domain.resolution import (
    Forwarding,
    Hosted,
    Kind,
    Known,
    Mailbox,
    Recipient,
    Ways,
)


def address(name: str) -> Address:
    return Address.parse(name if "@" in name else f"{name}@example.org")


def known(aliases: dict[str, list[str]], people: list[str]) -> Known:
    entries: dict[str, Mailbox | Forwarding | None] = {
        address(name).key: Mailbox(number, address(name).key, 0)
        for number, name in enumerate(people, 1)
    }
    for name, targets in aliases.items():
        entries[address(name).key] = Forwarding(tuple(address(target) for target in targets))
    return Known({"example.org": Hosted(None), "elsewhere.example": None}, entries)


def test_a_loop_ends() -> None:
    ways = Ways(known({"a": ["b", "ann"], "b": ["a", "bob"]}, ["ann", "bob"]))
    found = ways.resolve(address("a"))
    assert found.kind is Kind.LOCAL
    assert [recipient.mailbox.account_id for recipient in found.recipients] == [2, 1]


def test_a_loop_without_an_end_is_unknown() -> None:
    ways = Ways(known({"a": ["b"], "b": ["c"], "c": ["a+x"]}, []))
    assert ways.resolve(address("a")).kind is Kind.UNKNOWN


def test_each_recipient_comes_once_and_the_first_detail_counts() -> None:
    ways = Ways(known({"a": ["ann+one", "ann+two", "ann"]}, ["ann"]))
    (recipient,) = ways.resolve(address("a")).recipients
    assert recipient == Recipient(Mailbox(1, "ann@example.org", 0), "one")


def test_a_catch_all_comes_after_everything_else() -> None:
    facts = known({"a": ["nobody"]}, ["ann", "eve"])
    facts.domains["example.org"] = Hosted(Mailbox(2, "eve@example.org", 0))
    ways = Ways(facts)
    for name, who in (("ann+x", 1), ("nobody+x", 2), ("a", 2)):
        (recipient,) = ways.resolve(address(name)).recipients
        assert recipient.mailbox.account_id == who


NAMES = list("abcdef")


@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        st.lists(st.sampled_from([*NAMES, "x@elsewhere.example"]), min_size=1, unique=True),
    ),
    st.lists(st.sampled_from(NAMES), unique=True),
)
def test_every_graph_is_walked_to_its_end(aliases: dict[str, list[str]], people: list[str]) -> None:
    ways = Ways(known({k: v for k, v in aliases.items() if k not in people}, people))
    for name in NAMES:
        found = ways.resolve(address(name))
        who = [recipient.mailbox.account_id for recipient in found.recipients]
        assert len(who) == len(set(who)) <= len(people)
        assert len(found.forwards) <= 1
        for number in who:
            assert ways.leads_to(address(name), number)
