"""What POP3 is told of those who sign in: the mailbox they name, how their mail is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from postroom.auth.v1 import account_pb2, authentication_pb2
from postroom_chassis.errors import Kind, PostroomError

from tests.protocol.auth.house import ADDRESS, House, opened

ANN = "ann@example.org"
SECRET = "correct horse"


async def with_ann(house: House) -> House:
    await house.add_domain("example.org")
    await house.add_account(ANN, SECRET)
    return house


async def sign_in(
    house: House, name: str, password: str = SECRET, protocol: str = "pop3"
) -> authentication_pb2.SignInResponse:
    request = authentication_pb2.SignInRequest(
        mechanism="PLAIN",
        initial_response=f"\0{name}\0{password}".encode(),
        client=authentication_pb2.Client(protocol=protocol, address=ADDRESS, secure=True),
    )
    answer: authentication_pb2.SignInResponse = await house.authentication(protocol).SignIn(request)
    return answer


async def change(house: House, **changes: int) -> account_pb2.Account:
    request = account_pb2.UpdateAccountRequest(address=ANN, **changes)  # type: ignore[arg-type]
    return await house.accounts.UpdateAccount(request)


async def strictest(house: House) -> authentication_pb2.MaildropPolicy:
    client = authentication_pb2.Client(protocol="pop3", address=ADDRESS, secure=True)
    request = authentication_pb2.ListMechanismsRequest(client=client)
    answer: authentication_pb2.ListMechanismsResponse = await house.authentication(
        "pop3"
    ).ListMechanisms(request)
    return answer.strictest_policy


async def test_a_name_asks_for_a_mailbox(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    answer = await sign_in(house, "ann+Lists/Two words@example.org")
    assert (answer.ticket.address, answer.maildrop.mailbox) == (ANN, "Lists/Two words")
    assert (await sign_in(house, ANN)).maildrop.mailbox == ""
    assert (await sign_in(house, "Ann+Entwürfe@Example.ORG")).maildrop.mailbox == "Entwürfe"


async def test_an_address_of_its_own_comes_first(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    await house.add_account("ann+lists@example.org", "another")
    answer = await sign_in(house, "ann+lists@example.org", "another")
    assert (answer.ticket.address, answer.maildrop.mailbox) == ("ann+lists@example.org", "")
    with pytest.raises(PostroomError) as error:
        await sign_in(house, "ann+lists@example.org", SECRET)
    assert error.value.kind is Kind.UNAUTHENTICATED


@pytest.mark.parametrize("protocol", ["imap", "smtp"])
async def test_names_of_other_protocols_ask_for_none(sqlite_house: House, protocol: str) -> None:
    house = await with_ann(sqlite_house)
    with pytest.raises(PostroomError) as error:
        await sign_in(house, "ann+Lists@example.org", protocol=protocol)
    assert error.value.kind is Kind.UNAUTHENTICATED
    assert not (await sign_in(house, ANN, protocol=protocol)).HasField("maildrop")


async def test_guesses_are_the_account_s_whichever_mailbox_is_named(sqlite_house: House) -> None:
    house = await with_ann(sqlite_house)
    kinds = []
    for number in range(8):
        with pytest.raises(PostroomError) as error:
            await sign_in(house, f"ann+m{number}@example.org", f"guess {number}")
        kinds.append(error.value.kind)
    assert kinds[0] is Kind.UNAUTHENTICATED
    assert kinds[-1] is Kind.RATE_LIMITED


async def test_the_local_part_alone_will_do(certificates: Path, sqlite_url: str) -> None:
    async with opened(certificates, sqlite_url, default_domain="example.org") as house:
        await with_ann(house)
        answer = await sign_in(house, "ann+Lists")
        assert (answer.ticket.address, answer.maildrop.mailbox) == (ANN, "Lists")


async def test_how_mail_is_kept_is_told_at_sign_in(house: House) -> None:
    await with_ann(house)
    told = (await sign_in(house, ANN)).maildrop.policy
    assert (told.HasField("expire_days"), told.login_delay) == (False, 0)
    account = await change(house, pop3_days=30, pop3_login_delay=1)
    assert (account.pop3_days, account.pop3_login_delay) == (30, 1)
    told = (await sign_in(house, ANN)).maildrop.policy
    assert (told.expire_days, told.login_delay) == (30, 1)
    account = await change(house, pop3_delete=True, pop3_login_delay=0)
    assert account.pop3_delete
    told = (await sign_in(house, ANN)).maildrop.policy
    assert (told.HasField("expire_days"), told.expire_days, told.login_delay) == (True, 0, 0)


async def test_the_strictest_is_told_before(house: House) -> None:
    await with_ann(house)
    await house.add_account("ben@example.org")
    assert not (await strictest(house)).HasField("expire_days")
    await change(house, pop3_days=30, pop3_login_delay=60)
    request = account_pb2.UpdateAccountRequest(
        address="ben@example.org", pop3_days=7, pop3_login_delay=5
    )
    await house.accounts.UpdateAccount(request)
    told = await strictest(house)
    assert (told.expire_days, told.login_delay) == (7, 60)
    await change(house, pop3_delete=True)
    told = await strictest(house)
    assert (told.HasField("expire_days"), told.expire_days) == (True, 0)


async def test_who_comes_back_too_soon_is_put_off(house: House) -> None:
    await with_ann(house)
    await change(house, pop3_login_delay=3600)
    await sign_in(house, ANN)
    with pytest.raises(PostroomError) as error:
        await sign_in(house, "ann+Lists@example.org")
    assert (error.value.kind, error.value.temporary) == (Kind.TOO_SOON, True)
    # A wrong password is told as one, and other protocols know no delay.
    with pytest.raises(PostroomError) as error:
        await sign_in(house, ANN, "wrong")
    assert error.value.kind is Kind.UNAUTHENTICATED
    await sign_in(house, ANN, protocol="imap")
    await change(house, pop3_login_delay=0)
    await sign_in(house, ANN)


@pytest.mark.parametrize(
    "changes", [{"pop3_days": -1}, {"pop3_days": 36_501}, {"pop3_login_delay": 86_401}]
)
async def test_a_policy_that_can_t_be_is_refused(
    sqlite_house: House, changes: dict[str, int]
) -> None:
    house = await with_ann(sqlite_house)
    with pytest.raises(PostroomError) as error:
        await change(house, **changes)
    assert error.value.kind is Kind.INVALID
