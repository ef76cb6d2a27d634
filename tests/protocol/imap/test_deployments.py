"""Sessions on several fronts and stores see one mailbox."""

from __future__ import annotations

from tests.protocol.imap.front import Deployment
from tests.protocol.imap.sharing import share, shared
from tests.protocol.imap.system import Imap, small


async def test_what_one_session_does_is_told_to_another(deployment: Deployment) -> None:
    person = await deployment.person()
    near = await Imap(deployment.fronts[0], person).select(messages=2)
    far = await Imap(deployment.fronts[-1], person).select()
    await far.send(b"i IDLE\r\n")
    await far.expect("+ idling")
    await near.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await far.expect("* 1 FETCH (FLAGS (\\Deleted))")
    await near.ok("EXPUNGE")
    await far.expect("* 1 EXPUNGE")
    await near.append("INBOX", small(3))
    await far.expect("* 2 EXISTS", "* ... RECENT")
    await far.send(b"DONE\r\n")
    await far.expect("i OK ...")
    assert await far.ok("UID SEARCH ALL") == ["* SEARCH 2 3"]
    await near.send(b"i IDLE\r\n")
    await near.expect("+ idling")
    await far.ok("STORE 2 +FLAGS.SILENT (\\Flagged)")
    await near.expect("* 2 FETCH (FLAGS (\\Flagged...))")


async def test_what_one_session_has_done_another_knows_when_it_selects(
    deployment: Deployment,
) -> None:
    person = await deployment.person()
    near = await Imap(deployment.fronts[0], person).select()
    far = await Imap(deployment.fronts[-1], person).select()
    for messages in range(1, 6):
        await far.ok("UNSELECT")
        await near.append("INBOX", small(messages))
        assert f"* {messages} EXISTS" in await far.ok("SELECT INBOX")


def test_a_test_that_is_no_coroutine(deployment: Deployment) -> None:
    """What Hypothesis's state machines stand on: each rule plays a part of its own."""
    imap = Imap(deployment, deployment.run(deployment.person()))
    client = deployment.run(imap.select(messages=1))
    assert deployment.run(client.ok("UID SEARCH ALL")) == ["* SEARCH 1"]
    other = deployment.run(deployment.connect(front=1))
    deployment.run(other.expect("* OK ..."))


async def test_a_mailbox_that_two_people_share(deployment: Deployment) -> None:
    """Each at a front of their own; the right to read goes while the guest waits for news."""
    owner = Imap(deployment.fronts[0], await deployment.person())
    friend = Imap(deployment.fronts[-1], await deployment.person())
    near = await share(owner, friend, "lrs")
    await near.append("Work", small(1))
    await near.ok("SELECT Work")
    far = await friend.login()
    await far.ok(f"SELECT {shared(owner)}")
    await far.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    await near.send(b"i IDLE\r\n")
    await near.expect("+ idling")
    await far.ok("STORE 1 -FLAGS.SILENT (\\Seen)")
    while (await near.hear()) != b"* 1 FETCH (FLAGS ())":
        pass
    await near.send(b"DONE\r\n")
    await near.expect("i OK ...")
    await far.send(b"i IDLE\r\n")
    await far.expect("+ idling")
    await near.ok(f"SETACL Work {friend.person.name} l")
    await near.append("Work", small(2))
    await far.expect("* BYE The selected mailbox is shared with you no more")
    await far.expect_end()
    again = await friend.login()
    await again.no(f"SELECT {shared(owner)}", "NO [NOPERM] ...")
