"""A client that believes what it is told: a mailbox as one session knows it, kept by its responses.

Whatever breaks the rules of RFC 3501 section 7.4 or RFC 7162 fails at once: a number that there is
none of, a mailbox that shrinks without a word, an EXPUNGE while numbers are in use, a modseq that
goes back.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.protocol.imap.client import ImapClient

_COUNT = re.compile(r"\* (\d+) EXISTS")
_EXPUNGE = re.compile(r"\* (\d+) EXPUNGE")
_VANISHED = re.compile(r"\* VANISHED (\(EARLIER\) )?([0-9:,]+)")
_FETCH = re.compile(r"\* (\d+) FETCH \((.*)\)", re.DOTALL)
_UID = re.compile(r"\bUID (\d+)")
_FLAGS = re.compile(r"\bFLAGS \(([^)]*)\)")
_MODSEQ = re.compile(r"\bMODSEQ \((\d+)\)")
_HIGHEST = re.compile(r"(?:\* )?OK \[HIGHESTMODSEQ (\d+)\]")
_VALIDITY = re.compile(r"\* OK \[UIDVALIDITY (\d+)\]")

_UPDATE = re.compile(r'\* ESEARCH \(TAG "(\w+)"\) UID (ADDTO|REMOVEFROM) \(([^)]*)\)')

UNKNOWN = 0  # a UID that the client has yet to ask for

# Commands during which numbers must not shift (RFC 3501 section 7.4.1).
_STEADY = ("FETCH", "STORE", "SEARCH")


class Mirror:
    """One session's mailbox.

    Attributes:
        uids: by number; UNKNOWN where the client wasn't told yet.
        flags: by UID, \\Recent left out.
        highest: the modseq up to which the client trusts what it has.
        results: UIDs that a search or a sort found, by its tag, as its updates say (RFC 5267).
    """

    def __init__(self, client: ImapClient, *, qresync: bool) -> None:
        self.client = client
        self.qresync = qresync
        self.uids: list[int] = []
        self.flags: dict[int, frozenset[str]] = {}
        self.modseqs: dict[int, int] = {}
        self.highest = 0
        self.uid_validity = 0
        self.results: dict[str, list[int]] = {}

    @property
    def known(self) -> dict[int, frozenset[str] | None]:
        """Messages and their flags; None where the client was not told of them."""
        return {uid: self.flags.get(uid) for uid in self.uids}

    def forget(self) -> None:
        """Another mailbox, or the same anew."""
        self.uids, self.flags, self.modseqs = [], {}, {}

    async def start(self, mailbox: str, select: str = "SELECT") -> None:
        """Select a mailbox and learn all of it."""
        if self.qresync:
            await self.client.ok("ENABLE QRESYNC")
        self.forget()
        untagged, done = await self.client.transact(f"{select} {mailbox}")
        assert done.startswith("OK"), done
        self._take(select, untagged, done)
        await self.learn()

    async def come_back(self, mailbox: str, client: ImapClient) -> None:
        """Select the mailbox on another connection, with what is known of it (RFC 7162)."""
        self.client = client
        await client.ok("ENABLE QRESYNC")
        before = dict.fromkeys(sorted(self.flags))
        command = f"SELECT {mailbox} (QRESYNC ({self.uid_validity} {self.highest}))"
        untagged, done = await client.transact(command)
        assert done.startswith("OK"), done
        gone = {
            uid
            for line in untagged
            if (found := _VANISHED.fullmatch(line))
            for uid in members(found[2])
        }
        told = {
            int(found[1]): line
            for line in untagged
            if _FETCH.fullmatch(line) and (found := _UID.search(line))
        }
        # As many as EXISTS says: what was there, less what is gone, and what is new.
        there = sorted({*before, *told} - gone)
        self.uids = []
        self._take("SELECT", [line for line in untagged if not _FETCH.match(line)], done)
        assert len(self.uids) == len(there), (self.uids, there, untagged)
        self.uids = there
        self.flags = {uid: flags for uid, flags in self.flags.items() if uid in there}
        self._take("SELECT", [line for line in untagged if _FETCH.match(line)], "")

    async def watch(self, tag: str, command: str) -> None:
        """Ask for a result that is kept true: `command` is what follows RETURN."""
        verb, _, rest = command.partition(" ")
        words = f"{tag} UID {verb} RETURN (UPDATE ALL) {rest}\r\n"
        await self.client.send(words.encode())
        untagged, done = await self.client.finish(tag)
        assert done.startswith("OK"), done
        (found,) = (line for line in untagged if line.startswith(f'* ESEARCH (TAG "{tag}")'))
        _, _, numbers = found.partition(" ALL ")
        self.results[tag] = members(numbers) if numbers else []
        self._take("UID", [line for line in untagged if line != found], done)
        await self.learn()

    async def say(self, command: str) -> tuple[list[str], str]:
        """Send a command; take in all that is told with it, and learn what is new."""
        untagged, done = await self.client.transact(command)
        self._take(command, untagged, done)
        await self.learn()
        return untagged, done

    async def append(self, message: bytes, mailbox: str, flags: str) -> tuple[list[str], str]:
        """Append; the same."""
        tag = "append"
        head = f"{tag} APPEND {mailbox} ({flags}) {{{len(message)}+}}\r\n"
        await self.client.send(head.encode() + message + b"\r\n")
        untagged, done = await self.client.finish(tag)
        self._take("APPEND", untagged, done)
        await self.learn()
        return untagged, done

    async def learn(self) -> None:
        """Ask for what isn't known of messages that are."""
        while UNKNOWN in self.uids:
            first = self.uids.index(UNKNOWN) + 1
            command = f"FETCH {first}:{len(self.uids)} (UID FLAGS)"
            untagged, done = await self.client.transact(command)
            self._take(command, untagged, done)
            assert done.startswith("OK") or "EXPUNGEISSUED" in done, done
            if "EXPUNGEISSUED" in done:
                untagged, done = await self.client.transact("NOOP")
                self._take("NOOP", untagged, done)

    async def idle_until(self, satisfied: Callable[[], bool]) -> None:
        """Listen to what happens until nothing more is missing."""
        while not satisfied():
            await self.client.send(b"idle IDLE\r\n")
            while (line := (await self.client.hear()).decode()) != "+ idling":
                self._take("IDLE", [line], "")
            while not satisfied() and UNKNOWN not in self.uids:
                self._take("IDLE", [(await self.client.hear()).decode()], "")
            await self.client.send(b"DONE\r\n")
            untagged, done = await self.client.finish("idle")
            self._take("IDLE", untagged, done)
            await self.learn()

    def _take(self, command: str, untagged: list[str], done: str) -> None:
        steady = command.split()[0].upper() in _STEADY
        for line in [*untagged, done]:
            if found := _COUNT.fullmatch(line):
                assert int(found[1]) >= len(self.uids), f"{line} after {len(self.uids)}"
                self.uids += [UNKNOWN] * (int(found[1]) - len(self.uids))
            elif found := _EXPUNGE.fullmatch(line):
                assert not steady, f"{line} during {command}"
                assert not self.qresync, line
                self._remove(int(found[1]))
            elif (found := _VANISHED.fullmatch(line)) and not found[1]:
                assert not steady, f"{line} during {command}"
                assert self.qresync, line
                for uid in members(found[2]):
                    # One that the client hadn't asked about is any of those.
                    one = uid if uid in self.uids else UNKNOWN
                    assert one in self.uids, f"{line} of {self.uids}"
                    self._remove(self.uids.index(one) + 1)
            elif found := _FETCH.fullmatch(line):
                self._fetched(int(found[1]), found[2])
            elif found := _HIGHEST.match(line):
                self.highest = int(found[1])
            elif found := _VALIDITY.match(line):
                self.uid_validity = int(found[1])
            elif found := _UPDATE.fullmatch(line):
                self._update(self.results[found[1]], found[2] == "ADDTO", found[3])

    def _update(self, result: list[int], adds: bool, changes: str) -> None:
        words = changes.split()
        for place, numbers in zip(map(int, words[::2]), words[1::2], strict=True):
            for offset, uid in enumerate(members(numbers)):
                assert (uid in result) != adds, f"{changes} of {result}"
                assert uid in self.uids or UNKNOWN in self.uids, f"{changes} of {self.uids}"
                if not adds:
                    assert place == 0 or result[place - 1] == uid, f"{changes} of {result}"
                    result.remove(uid)
                elif place:
                    result.insert(place - 1 + offset, uid)
                else:
                    result.append(uid)
                    result.sort()

    def _remove(self, number: int) -> None:
        assert 1 <= number <= len(self.uids), f"{number} of {len(self.uids)}"
        uid = self.uids.pop(number - 1)
        self.flags.pop(uid, None)
        self.modseqs.pop(uid, None)

    def _fetched(self, number: int, items: str) -> None:
        assert 1 <= number <= len(self.uids), f"{number} of {len(self.uids)}"
        uid = self.uids[number - 1]
        if found := _UID.search(items):
            assert uid in (UNKNOWN, int(found[1])), f"{number} is {uid}, not {found[1]}"
            uid = self.uids[number - 1] = int(found[1])
            before = [u for u in self.uids[: number - 1] if u != UNKNOWN]
            assert not before or before[-1] < uid, f"{uid} after {before[-1]}"
        if uid == UNKNOWN:
            return
        if found := _FLAGS.search(items):
            self.flags[uid] = flags_of(found[1])
        if found := _MODSEQ.search(items):
            modseq = int(found[1])
            assert modseq >= self.modseqs.get(uid, 0), f"the modseq of {uid} goes back"
            self.modseqs[uid] = modseq
            self.highest = max(self.highest, modseq)


def flags_of(text: str) -> frozenset[str]:
    """Flags of a flag list without its parentheses."""
    return frozenset(text.split()) - {"\\Recent"}


def members(numbers: str) -> list[int]:
    """The numbers of a set without `*`."""
    found: list[int] = []
    for part in numbers.split(","):
        low, _, high = part.partition(":")
        found += range(int(low), int(high or low) + 1)
    return found
