"""Where mail goes, and who may send as whom."""

from __future__ import annotations

from pathlib import Path

import pytest
from postroom.auth.v1 import account_pb2, directory_pb2
from postroom_chassis.errors import Kind, PostroomError

from tests.protocol.auth.house import House, opened

LOCAL = directory_pb2.Resolution.KIND_LOCAL
UNKNOWN = directory_pb2.Resolution.KIND_UNKNOWN
FOREIGN = directory_pb2.Resolution.KIND_FOREIGN
INVALID = directory_pb2.Resolution.KIND_INVALID


async def with_people(house: House) -> dict[str, int]:
    await house.add_domain("example.org")
    return {
        name: (await house.add_account(f"{name}@example.org", quota_bytes=9)).account_id
        for name in ("ann", "bob", "eve")
    }


def names(resolution: directory_pb2.Resolution) -> list[str]:
    return [recipient.address.partition("@")[0] for recipient in resolution.recipients]


async def test_answers_come_in_the_order_asked(house: House) -> None:
    people = await with_people(house)
    answers = await house.resolve(
        "Ann@Example.ORG", "nobody@example.org", "x@elsewhere.example", "rubbish", "bob@example.org"
    )
    assert [answer.kind for answer in answers] == [LOCAL, UNKNOWN, FOREIGN, INVALID, LOCAL]
    (ann,) = answers[0].recipients
    assert (ann.account_id, ann.address, ann.quota_bytes) == (people["ann"], "ann@example.org", 9)


@pytest.mark.parametrize(
    "text",
    [
        f"{'x' * 65}@elsewhere.example",
        f'"{"x y" * 30}"@elsewhere.example',
        "x@under_score.example",
    ],
)
async def test_what_is_an_address_elsewhere_is_theirs_to_say(house: House, text: str) -> None:
    await with_people(house)
    ours = f"{'x' * 65}@example.org"
    answers = await house.resolve(text, "ann@example.org", ours)
    assert [answer.kind for answer in answers] == [FOREIGN, LOCAL, INVALID]


@pytest.mark.parametrize(
    "text", ["", "x", "x@", "@x.example", "a b@x.example", "x@a b", "x@a..b", "x@b\n", "x\n@b"]
)
async def test_what_is_nobodys_address(house: House, text: str) -> None:
    await with_people(house)
    assert [answer.kind for answer in await house.resolve(text)] == [INVALID]


async def test_a_detail_is_told_as_written(house: House) -> None:
    await with_people(house)
    (answer,) = await house.resolve("ann+Shop+Two@example.org")
    assert answer.kind == LOCAL
    assert [(r.address, r.detail) for r in answer.recipients] == [("ann@example.org", "Shop+Two")]


async def test_an_alias_with_a_plus_wins_over_the_detail(house: House) -> None:
    await with_people(house)
    await house.add_alias("ann+shop@example.org", "bob@example.org")
    shop, other = await house.resolve("ANN+SHOP@example.org", "ann+other@example.org")
    assert (names(shop), names(other)) == (["bob"], ["ann"])


async def test_an_alias_leads_to_many_here_and_elsewhere_and_each_gets_one_copy(
    house: House,
) -> None:
    await with_people(house)
    await house.add_alias("all@example.org", "staff@example.org", "ann@example.org")
    await house.add_alias(
        "staff@example.org",
        "ann+work@example.org",
        "bob@example.org",
        "Zoe@elsewhere.example",
        "nobody@example.org",
    )
    (answer,) = await house.resolve("ALL@example.org")
    assert names(answer) == ["ann", "bob"]
    assert list(answer.forwards) == ["Zoe@elsewhere.example"]
    assert answer.recipients[0].detail == "work"


async def test_an_alias_that_leads_nowhere_is_unknown(house: House) -> None:
    await with_people(house)
    await house.add_alias("ghost@example.org", "nobody@example.org")
    (answer,) = await house.resolve("ghost@example.org")
    assert answer.kind == UNKNOWN


async def test_the_catch_all_gets_what_nobody_else_gets(house: House) -> None:
    await with_people(house)
    await house.accounts.SetCatchAll(
        account_pb2.SetCatchAllRequest(name="EXAMPLE.org", address="Eve@example.org")
    )
    ghost, ann = await house.resolve("ghost+x@example.org", "ann@example.org")
    assert (names(ghost), names(ann)) == (["eve"], ["ann"])
    await house.accounts.SetCatchAll(account_pb2.SetCatchAllRequest(name="example.org"))
    (ghost,) = await house.resolve("ghost@example.org")
    assert ghost.kind == UNKNOWN


async def test_a_catch_all_goes_with_its_account(house: House) -> None:
    await with_people(house)
    await house.accounts.SetCatchAll(
        account_pb2.SetCatchAllRequest(name="example.org", address="eve@example.org")
    )
    await house.accounts.DeleteAccount(account_pb2.DeleteAccountRequest(address="eve@example.org"))
    (ghost,) = await house.resolve("ghost@example.org")
    assert ghost.kind == UNKNOWN


async def test_domains_are_one_however_they_are_written(house: House) -> None:
    await house.add_domain("B\u00dcCHER.example")
    await house.add_account("J\u00fcrgen@xn--bcher-kva.example")
    answers = await house.resolve(
        "j\u00fcrgen@b\u00fccher.example",
        "JU\u0308RGEN@Bu\u0308cher.EXAMPLE",
        "j\u00fcrgen@XN--BCHER-KVA.example",
    )
    assert [names(answer) for answer in answers] == [["j\u00fcrgen"]] * 3
    with pytest.raises(PostroomError) as again:
        await house.add_domain("xn--bcher-kva.example")
    assert again.value.kind is Kind.ALREADY_EXISTS


async def test_quoted_local_parts_are_what_they_quote(house: House) -> None:
    await house.add_domain("example.org")
    await house.add_account('"Ann Smith"@example.org')
    await house.add_account('"bob"@example.org')
    answers = await house.resolve(
        '"ann smith"@example.org', '"\\ann sm\\ith"@example.org', "BOB@example.org"
    )
    assert [answer.recipients[0].address for answer in answers] == [
        '"ann smith"@example.org',
        '"ann smith"@example.org',
        "bob@example.org",
    ]


async def test_postmaster_is_read_by_somebody(certificates: Path, database_url: str) -> None:
    async with opened(certificates, database_url, postmaster="eve@example.org") as house:
        await with_people(house)
        await house.add_domain("other.example")
        answers = await house.resolve(
            "Postmaster", "postmaster@other.example", "x@other.example", "POSTMASTER@example.org"
        )
        assert [names(answer) for answer in answers] == [["eve"], ["eve"], [], ["eve"]]
        await house.add_alias("postmaster@example.org", "bob@example.org")
        (own,) = await house.resolve("postmaster@example.org")
        assert names(own) == ["bob"]


async def test_a_thousand_addresses_are_one_call_and_more_are_too_many(house: House) -> None:
    await with_people(house)
    answers = await house.resolve(*(f"ann+{number}@example.org" for number in range(1000)))
    assert {names(answer)[0] for answer in answers} == {"ann"}
    assert [answer.recipients[0].detail for answer in answers[:3]] == ["0", "1", "2"]
    with pytest.raises(PostroomError) as refused:
        await house.resolve(*(["ann@example.org"] * 1001))
    assert refused.value.kind is Kind.INVALID


async def test_people_send_as_themselves_and_their_aliases(house: House) -> None:
    people = await with_people(house)
    await house.add_alias("sales@example.org", "team@example.org")
    await house.add_alias("team@example.org", "bob@example.org", "x@elsewhere.example")
    await house.accounts.SetCatchAll(
        account_pb2.SetCatchAllRequest(name="example.org", address="bob@example.org")
    )
    asked = {
        "BOB@example.org": True,
        "bob+list@example.org": True,
        "sales@example.org": True,
        "team+x@example.org": True,
        "ann@example.org": False,
        "ghost@example.org": False,  # the catch-all reads it, but is not it
        "x@elsewhere.example": False,
        "rubbish": False,
    }
    assert await house.may_send_as(people["bob"], *asked) == list(asked.values())
    assert await house.may_send_as(people["ann"], "bob@example.org") == [False]
    assert await house.may_send_as(999, "bob@example.org") == [False]
