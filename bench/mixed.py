"""What one client of the mixed load does: log in, look round, read, flag, add, delete, leave."""

import random
import time

from .corpus import Corpus
from .imap import CommandError, ImapClient
from .target import Account, Endpoint

MAILBOX_MESSAGES = 40
ROUNDS = 12


class Script:
    """One client with a mailbox of its own.

    Attributes:
        commands: how many commands were answered with OK.
        failure: what ended it early, if anything did.
    """

    def __init__(
        self, endpoint: Endpoint, account: Account, mailbox: str, corpus: Corpus, number: int
    ) -> None:
        self._endpoint = endpoint
        self._account = account
        self._mailbox = mailbox
        self._chance = random.Random(number)
        self._messages = [corpus.message(1000 + number * 50 + n) for n in range(MAILBOX_MESSAGES)]
        self.commands = 0
        self.failure: Exception | None = None

    def prepare(self) -> None:
        """Puts the mailbox in place."""
        with ImapClient(self._endpoint, self._account) as client:
            client.make_empty(self._mailbox)
            some = ((message.content, message.arrived) for message in self._messages)
            client.append_all(self._mailbox, some)

    def run(self, ending: float) -> None:
        """Plays sessions until `ending` (of ``time.perf_counter``); never raises."""
        try:
            while time.perf_counter() < ending:
                self._session(ending)
        except (CommandError, OSError) as error:
            self.failure = error

    def _session(self, ending: float) -> None:
        with ImapClient(self._endpoint, self._account) as client:
            self._count(client, 'LIST "" "*"')
            self._count(client, f'STATUS "{self._mailbox}" (MESSAGES UNSEEN UIDNEXT)')
            self._count(client, f'SELECT "{self._mailbox}"')
            self._count(client, "FETCH 1:* (UID FLAGS)")
            for _ in range(ROUNDS):
                if time.perf_counter() >= ending:
                    break
                self._round(client)
            self.commands += 2  # LOGIN and LOGOUT

    def _round(self, client: ImapClient) -> None:
        """Reads and flags some messages, adds one and removes one: the mailbox stays as long."""
        number = self._chance.randint(1, MAILBOX_MESSAGES - 4)
        self._count(client, f"FETCH {number}:{number + 4} (UID FLAGS RFC822.SIZE ENVELOPE)")
        self._count(client, f"FETCH {number} BODYSTRUCTURE")
        self._count(client, f"FETCH {number} BODY[]")
        self._count(client, f"FETCH {number + 1} BODY.PEEK[HEADER]")
        self._count(client, f"STORE {number} +FLAGS (\\Answered)")
        self._count(client, "SEARCH UNSEEN")
        message = self._chance.choice(self._messages)
        client.append(self._mailbox, message.content, message.arrived)
        self.commands += 1
        self._count(client, "NOOP")
        self._count(client, f"STORE {number} +FLAGS.SILENT (\\Deleted)")
        self._count(client, "EXPUNGE")

    def _count(self, client: ImapClient, command: str) -> None:
        client.command(command)
        self.commands += 1
