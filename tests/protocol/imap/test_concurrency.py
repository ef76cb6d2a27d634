"""Several sessions on one mailbox do what they like; each hears all of it, and nothing else.

A model-based test: `truth` is what the mailbox must hold after the commands so far, each session is
a `Mirror` that believes what it is told. After NOOP a mirror is like the truth; who comes back by
QRESYNC is, too; in the end the store is asked itself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from postroom.store.v1 import message_pb2, message_pb2_grpc
from postroom_chassis.rpc.client import ticketed

from tests.protocol.imap.client import ImapClient
from tests.protocol.imap.front import Deployment
from tests.protocol.imap.mirror import Mirror, members
from tests.protocol.imap.system import Imap, small

T = TypeVar("T")

MOST_HISTORIES = int(os.environ.get("POSTROOM_HISTORIES", "25"))  # more take longer and find more
MOST_SESSIONS = 4
SECONDS = 20.0
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "$Label1", "$Label2")
SYSTEM = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")  # bits 0 to 4

some_flags = st.lists(st.sampled_from(FLAGS), min_size=1, max_size=2, unique=True)
which = st.integers(0, MOST_SESSIONS - 1)
modes = st.sampled_from(["", "+", "-"])
places = st.lists(st.integers(0, 7), min_size=1, max_size=4, unique=True)


class Concurrency(RuleBasedStateMachine):
    """Sessions on an INBOX, spread over the fronts of a deployment.

    Some are its owner's, some of somebody who shares it.
    """

    def __init__(self, deployment: Deployment) -> None:
        super().__init__()
        self.deployment = deployment
        self.person = deployment.run(deployment.person())
        self.guest = deployment.run(deployment.person())
        self.guests: set[Mirror] = set()
        self.truth: dict[int, frozenset[str]] = {}
        self.next_uid = 1
        self.sessions: list[Mirror] = []
        self.witnesses: list[ImapClient] = []  # one at each front, which does nothing itself
        self.number = 0
        self.subjects: dict[int, int] = {}  # the number in each message's subject

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.deployment.run(asyncio.wait_for(coroutine, SECONDS))

    async def connect(self, front: int, *, guest: bool = False) -> ImapClient:
        fronts = self.deployment.fronts
        person = self.guest if guest else self.person
        return await Imap(fronts[front % len(fronts)], person).login()

    async def open(self, front: int, *, qresync: bool, guest: bool = False) -> None:
        mirror = Mirror(await self.connect(front, guest=guest), qresync=qresync)
        if guest:
            self.guests.add(mirror)
        await mirror.start(self.name(mirror))
        await self.watch(mirror)
        self.sessions.append(mirror)

    def name(self, mirror: Mirror) -> str:
        """What the mailbox is called in a session."""
        return f'"Other Users/{self.person.name}/INBOX"' if mirror in self.guests else "INBOX"

    async def watch(self, mirror: Mirror) -> None:
        """Have two results kept true."""
        await mirror.watch("flagged", "SEARCH FLAGGED NOT DELETED")
        await mirror.watch("sorted", "SORT (REVERSE SUBJECT) UTF-8 SUBJECT message UNSEEN")

    def check_results(self, mirror: Mirror) -> None:
        """What a client knows of its results, once it has heard the last of them."""
        self.run(mirror.say("NOOP"))
        self.run(mirror.say("NOOP"))  # updates may come behind the answer
        flags = self.truth
        flagged = [u for u in flags if "\\Flagged" in flags[u] and "\\Deleted" not in flags[u]]
        assert mirror.results["flagged"] == sorted(flagged)
        unseen = sorted(u for u in flags if "\\Seen" not in flags[u])
        unseen.sort(key=lambda u: f"message {self.subjects[u]}", reverse=True)
        assert mirror.results["sorted"] == unseen

    @initialize(messages=st.integers(0, 6), guest=st.booleans())
    def begin(self, messages: int, guest: bool) -> None:
        owner = self.run(self.connect(0))
        self.run(owner.ok(f"SETACL INBOX {self.guest.name} lrswite"))
        self.run(owner.close())
        self.run(self.open(0, qresync=False, guest=guest))
        for front in range(len(self.deployment.fronts)):
            self.witnesses.append(self.run(self.connect(front)))
            self.run(self.witnesses[-1].ok("SELECT INBOX"))
        for _ in range(messages):
            self.append(0, [])
        self.run(self.open(1, qresync=True))

    def session(self, number: int) -> Mirror:
        return self.sessions[number % len(self.sessions)]

    def chosen(self, mirror: Mirror, places: Sequence[int]) -> list[int]:
        """UIDs of messages that a session knows, ascending."""
        uids = mirror.uids
        return sorted({uids[place % len(uids)] for place in places}) if uids else []

    # -- what sessions do

    @precondition(lambda self: len(self.sessions) < MOST_SESSIONS)
    @rule(front=st.integers(0, 1), qresync=st.booleans(), guest=st.booleans())
    def connect_another(self, front: int, qresync: bool, guest: bool) -> None:
        self.settle_if_apart()
        self.run(self.open(front, qresync=qresync, guest=guest))
        assert self.sessions[-1].known == self.truth

    @rule(number=which, flags=some_flags | st.just([]))
    def append(self, number: int, flags: list[str]) -> None:
        self.number += 1
        message = small(self.number)
        mirror = self.session(number)
        _, done = self.run(mirror.append(message, self.name(mirror), " ".join(flags)))
        assert f" {self.next_uid}]" in done, done
        self.truth[self.next_uid] = frozenset(flags)
        self.subjects[self.next_uid] = self.number
        self.next_uid += 1

    @rule(
        number=which,
        places=places,
        mode=modes,
        flags=some_flags,
        uid=st.booleans(),
        silent=st.booleans(),
    )
    def store(
        self, number: int, places: list[int], mode: str, flags: list[str], uid: bool, silent: bool
    ) -> None:
        mirror = self.session(number)
        if not (uids := self.chosen(mirror, places)):
            return
        named = uids if uid else [mirror.uids.index(u) + 1 for u in uids]
        verb = "UID STORE" if uid else "STORE"
        item = f"{mode}FLAGS{'.SILENT' if silent else ''} ({' '.join(flags)})"
        _, done = self.run(mirror.say(f"{verb} {','.join(map(str, named))} {item}"))
        left = [u for u in uids if u in self.truth]
        if uid or left == uids:
            assert done.startswith("OK"), done
        elif len(self.deployment.fronts) == 1:  # another front may hear of it after this
            assert done.startswith("NO [EXPUNGEISSUED]"), done
        for u in left:
            self.truth[u] = changed(self.truth[u], mode, flags)
            if silent and u in mirror.flags and "MODSEQ" not in done:
                # The client knows by itself what silence leaves out.
                mirror.flags[u] = changed(mirror.flags[u], mode, flags)

    @rule(number=which, places=places, flag=st.sampled_from(FLAGS), back=st.integers(0, 3))
    def store_unless_changed(self, number: int, places: list[int], flag: str, back: int) -> None:
        mirror = self.session(number)
        uids = self.chosen(mirror, places)
        if not uids or not mirror.qresync:
            return
        limit = max(mirror.highest - back, 1)
        command = f"UID STORE {','.join(map(str, uids))} (UNCHANGEDSINCE {limit}) +FLAGS ({flag})"
        untagged, done = self.run(mirror.say(command))
        assert done.startswith("OK"), done
        refused = members(done.split("]")[0].split()[-1]) if "[MODIFIED" in done else []
        told = [line for line in untagged if " FETCH " in line]
        for u in uids:
            if u in self.truth and u not in refused:
                assert any(f"UID {u} " in line for line in told), (u, untagged)
                self.truth[u] = self.truth[u] | {flag}

    @rule(number=which, places=places, uid=st.booleans())
    def read(self, number: int, places: list[int], uid: bool) -> None:
        mirror = self.session(number)
        self.settle_if_apart(mirror)  # what seems to be \\Seen is not marked again
        if not (uids := self.chosen(mirror, places)):
            return
        named = uids if uid else [mirror.uids.index(u) + 1 for u in uids]
        verb = "UID FETCH" if uid else "FETCH"
        self.run(mirror.say(f"{verb} {','.join(map(str, named))} (BODY[TEXT])"))
        for u in uids:
            if u in self.truth:
                self.truth[u] |= {"\\Seen"}

    @rule(number=which)
    def expunge(self, number: int) -> None:
        self.settle_if_apart()
        self.run(self.session(number).say("EXPUNGE"))
        for u in [u for u, flags in self.truth.items() if "\\Deleted" in flags]:
            del self.truth[u]

    @rule(number=which, places=places)
    def uid_expunge(self, number: int, places: list[int]) -> None:
        mirror = self.session(number)
        if uids := self.chosen(mirror, places):
            self.run(mirror.say(f"UID EXPUNGE {','.join(map(str, uids))}"))
            for u in uids:
                if "\\Deleted" in self.truth.get(u, ()):
                    del self.truth[u]

    @rule(number=which, places=places)
    def copy_here(self, number: int, places: list[int]) -> None:
        mirror = self.session(number)
        if not (uids := self.chosen(mirror, places)):
            return
        self.run(mirror.say(f"UID COPY {','.join(map(str, uids))} {self.name(mirror)}"))
        for u in uids:
            if u in self.truth:
                self.truth[self.next_uid] = self.truth[u]
                self.subjects[self.next_uid] = self.subjects[u]
                self.next_uid += 1

    @rule(number=which, places=places)
    def move_away(self, number: int, places: list[int]) -> None:
        mirror = self.session(number)
        if uids := self.chosen(mirror, places):
            self.run(mirror.say(f"UID MOVE {','.join(map(str, uids))} Archive"))
            for u in uids:
                self.truth.pop(u, None)

    @rule(number=which, flag=st.sampled_from(FLAGS[:3]), uid=st.booleans())
    def search(self, number: int, flag: str, uid: bool) -> None:
        mirror = self.session(number)
        self.settle_if_apart(mirror)
        before = list(mirror.uids)
        name = flag.removeprefix("\\").upper()
        untagged, _ = self.run(mirror.say(f"{'UID ' if uid else ''}SEARCH {name}"))
        (answer,) = (line for line in untagged if line.startswith("* SEARCH"))
        found = [int(word) for word in answer.split()[2:]]
        uids = found if uid else [before[n - 1] for n in found]
        assert uids == [u for u in before if flag in self.truth.get(u, ())]

    @rule(number=which)
    def status(self, number: int) -> None:
        mirror = self.session(number)
        self.settle_if_apart(mirror)
        untagged, _ = self.run(mirror.say(f"STATUS {self.name(mirror)} (MESSAGES UNSEEN UIDNEXT)"))
        (answer,) = (line for line in untagged if line.startswith("* STATUS"))
        unseen = sum("\\Seen" not in flags for flags in self.truth.values())
        counts = f"MESSAGES {len(self.truth)} UNSEEN {unseen} UIDNEXT {self.next_uid}"
        assert answer == f"* STATUS {self.name(mirror)} ({counts})"

    @rule(right=st.sampled_from(["+p", "-p", "+k"]))
    def change_rights(self, right: str) -> None:
        """Another right than those that are used: sessions of the guest must ask all the same.

        Fronts hear of it from the store alone, also the one where it was said.
        """
        self.run(self.witnesses[0].ok(f"SETACL INBOX {self.guest.name} {right}"))
        self.run(self.all_fronts_know())

    @rule(
        commands=st.lists(
            st.tuples(which, places, modes, some_flags, st.booleans()), min_size=2, max_size=5
        )
    )
    def all_at_once(self, commands: list[tuple[int, list[int], str, list[str], bool]]) -> None:
        """What comes of it is for the store to say; that all hear the same is for us."""

        async def work(mirror: Mirror, rows: list[tuple[int, list[int], str, list[str], bool]]):  # type: ignore[no-untyped-def]
            for _, places, mode, flags, expunge in rows:
                if uids := self.chosen(mirror, places):
                    named = ",".join(map(str, uids))
                    await mirror.say(f"UID STORE {named} {mode}FLAGS ({' '.join(flags)})")
                if expunge:
                    await mirror.say("EXPUNGE")

        async def everybody() -> None:
            each: dict[int, list[tuple[int, list[int], str, list[str], bool]]] = {}
            for row in commands:
                each.setdefault(row[0] % len(self.sessions), []).append(row)
            await asyncio.gather(*(work(self.sessions[n], rows) for n, rows in each.items()))

        self.run(everybody())
        _, self.truth = self.run(self.in_store())
        self.settle()

    # -- what they must know

    @rule(number=which)
    def noop(self, number: int) -> None:
        mirror = self.session(number)
        self.settle_if_apart(mirror)
        self.check_results(mirror)
        assert mirror.known == self.truth

    @rule(number=which)
    def listen(self, number: int) -> None:
        mirror = self.session(number)
        self.run(mirror.idle_until(lambda: mirror.known == self.truth))

    @rule(number=which, front=st.integers(0, 1))
    def come_back(self, number: int, front: int) -> None:
        """Whenever a connection is cut, the next one hears what is missing and no more."""
        mirror = self.session(number)
        if not mirror.qresync:
            return
        self.run(mirror.client.close())
        self.sessions.remove(mirror)
        self.settle_if_apart()
        client = self.run(self.connect(front, guest=mirror in self.guests))
        self.run(mirror.come_back(self.name(mirror), client))
        self.run(self.watch(mirror))
        self.sessions.append(mirror)
        self.settle_if_apart(mirror)  # nobody may have been left at that front to wait for
        assert mirror.known == self.truth

    @rule(number=which)
    def fetch_what_changed(self, number: int) -> None:
        """CHANGEDSINCE and VANISHED tell what became of the mailbox since an old modseq."""
        mirror = self.session(number)
        if not mirror.qresync:
            return
        self.settle_if_apart(mirror)
        self.run(mirror.say("NOOP"))
        untagged, _ = self.run(mirror.say("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)"))
        vanished = [line for line in untagged if "VANISHED (EARLIER)" in line]
        gone = {u for line in vanished for u in members(line.split()[-1])}
        assert gone == {u for u in range(1, self.next_uid) if u not in mirror.uids}
        assert sum(" FETCH " in line for line in untagged) == len(mirror.uids)

    def settle(self) -> None:
        for mirror in self.sessions:
            self.run(mirror.idle_until(lambda mirror=mirror: mirror.known == self.truth))  # type: ignore[misc]

    def settle_if_apart(self, mirror: Mirror | None = None) -> None:
        """What happened at one front takes a moment to the other; at the same it takes none."""
        if len(self.deployment.fronts) == 1:
            return
        self.run(self.all_fronts_know())
        for one in [mirror] if mirror else self.sessions:
            self.run(one.idle_until(lambda one=one: one.known == self.truth))  # type: ignore[misc]

    async def all_fronts_know(self) -> None:
        """A mailbox may look as it did before; its modseq never does."""
        highest, _ = await self.in_store()
        for witness in self.witnesses:
            while (
                f"(HIGHESTMODSEQ {highest})"
                not in (told := await witness.ok("STATUS INBOX (HIGHESTMODSEQ)"))[-1]
            ):
                assert told

    async def in_store(self) -> tuple[int, dict[int, frozenset[str]]]:
        """The modseq and the messages of the mailbox as the database has it."""
        owners = self.deployment.fronts[0].owners
        stub = owners.stores[0].stub(message_pb2_grpc.MessageServiceStub)
        token = self.deployment.fronts[0].ticket(self.person.name).token
        found: dict[int, frozenset[str]] = {}
        names: dict[int, str] = {}
        highest = 0
        async for response in stub.Open(
            message_pb2.OpenRequest(name="INBOX"), metadata=ticketed(token)
        ):
            highest = max(highest, response.mailbox.highest_modseq)
            names |= {8 + word.number: word.name for word in response.mailbox.keywords}
            rows = zip(response.messages.uids, response.messages.flags, strict=True)
            for uid, mask in rows:
                found[uid] = frozenset(flag_names(mask, names))
        return highest, found

    @invariant()
    def no_more_is_known_than_there_is(self) -> None:
        for mirror in self.sessions:
            assert all(0 < uid < self.next_uid for uid in mirror.uids)

    def teardown(self) -> None:
        try:
            self.settle_if_apart()
            self.settle()
            for mirror in self.sessions:
                self.check_results(mirror)
            assert self.run(self.in_store())[1] == self.truth
        finally:
            for client in [*self.witnesses, *(mirror.client for mirror in self.sessions)]:
                self.run(client.close())


def changed(before: frozenset[str], mode: str, flags: Sequence[str]) -> frozenset[str]:
    """What STORE makes of flags."""
    match mode:
        case "+":
            return before | frozenset(flags)
        case "-":
            return before - frozenset(flags)
    return frozenset(flags)


def flag_names(mask: int, keywords: dict[int, str]) -> Iterator[str]:
    """The flags of a mask, as message.proto has it."""
    names = dict(enumerate(SYSTEM)) | keywords
    return (name for bit, name in names.items() if mask >> bit & 1)


def test_sessions_on_one_mailbox(deployment: Deployment) -> None:
    run_state_machine_as_test(
        lambda: Concurrency(deployment),
        settings=settings(
            max_examples=MOST_HISTORIES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # time may not repeat itself
        ),
    )
