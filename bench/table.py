"""The table of workloads with their goals: the first mark, and then.

A mark names the peer and the row it is held against. Where the goal only says "level" or "ahead",
the first mark is held against Maildir, what most people run, and the next one against sdbox,
Dovecot's fastest.
"""

from . import crowd
from . import workloads as do
from .workload import Better, Mark, Row, Workload

_SUMMARY = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
_HEADERS = "(BODY.PEEK[HEADER.FIELDS (DATE FROM TO CC SUBJECT MESSAGE-ID)])"
_MAILDIR = "maildir"
_SDBOX = "sdbox"


def _rate(
    key: str, title: str, first: Mark | None = None, then: Mark | None = None, unit: str = "/s"
) -> Row:
    return Row(key, title, unit, Better.HIGHER, first, then)


def _time(
    key: str, title: str, first: Mark | None = None, then: Mark | None = None, unit: str = "s"
) -> Row:
    return Row(key, title, unit, Better.LOWER, first, then)


def _level(peer: str) -> Mark:
    return Mark(f"level with {peer}", 1.0, peer)


def _ahead(peer: str) -> Mark:
    return Mark(f"ahead of {peer}", 1.1, peer)


def _fetch(name: str, title: str, items: str, first: Mark, then: Mark) -> tuple[Workload, ...]:
    """Makes the three workloads of one big FETCH; all are held against the peer's warm figure."""
    return (
        Workload(
            f"{name}-warm",
            (_time(f"{name}-warm", f"{title}, warm", first, then),),
            do.fetch_warm(items),
        ),
        Workload(
            f"{name}-cold",
            (_time(f"{name}-cold", f"{title}, after a restart", first, then),),
            do.fetch_cold(items),
        ),
        Workload(
            f"{name}-first",
            (_time(f"{name}-first", f"{title}, first time ever", first, then),),
            do.fetch_cold(items, forget=True),
        ),
    )


WORKLOADS: tuple[Workload, ...] = (
    Workload(
        "smtp",
        (
            _rate("smtp-accepted", "SMTP accepted, 10 connections, 4 KB"),
            _rate(
                "smtp-delivered",
                "SMTP to mailbox, 10 connections, 4 KB",
                Mark("3 times Maildir", 3.0, _MAILDIR),
                Mark("5 times Maildir", 5.0, _MAILDIR),
            ),
        ),
        do.deliver_over(20),
    ),
    Workload(
        "smtp-single",
        (
            _rate("smtp-single-accepted", "SMTP accepted, one message a connection"),
            _rate("smtp-single-delivered", "SMTP to mailbox, one message a connection"),
        ),
        do.deliver_over(1),
    ),
    Workload(
        "append",
        (
            _rate(
                "append",
                "IMAP APPEND, one connection, 4 KB",
                _level(_SDBOX),
                Mark("2 times sdbox", 2.0, _SDBOX),
            ),
        ),
        do.append_alone,
    ),
    Workload(
        "select-warm",
        (
            _time(
                "select-warm",
                "SELECT of the large mailbox, warm",
                Mark("a quarter of Maildir", 4.0, _MAILDIR),
                _level(_SDBOX),
            ),
        ),
        do.select_warm,
    ),
    Workload(
        "select-cold",
        (
            _time(
                "select-cold",
                "SELECT of the large mailbox, after a restart",
            ),
        ),
        do.select_cold,
    ),
    Workload(
        "fetch-flags",
        (_time("fetch-flags", "FETCH 1:* (UID FLAGS)", _level(_MAILDIR), _ahead(_SDBOX)),),
        do.fetch_warm("(UID FLAGS)"),
    ),
    *_fetch(
        "fetch-summary",
        "FETCH 1:* (UID … ENVELOPE BODYSTRUCTURE)",
        _SUMMARY,
        Mark("half of Maildir warm", 2.0, _MAILDIR, "fetch-summary-warm"),
        Mark("a third of Maildir warm", 3.0, _MAILDIR, "fetch-summary-warm"),
    ),
    *_fetch(
        "fetch-headers",
        "FETCH 1:* BODY.PEEK[HEADER.FIELDS (six)]",
        _HEADERS,
        Mark("level with Maildir warm", 1.0, _MAILDIR, "fetch-headers-warm"),
        Mark("ahead of sdbox warm", 1.1, _SDBOX, "fetch-headers-warm"),
    ),
    Workload(
        "fetch-bodies",
        (
            _time(
                "fetch-bodies",
                "FETCH 1:2000 BODY.PEEK[]",
                Mark("2 times the time of Maildir", 0.5, _MAILDIR),
                _level(_SDBOX),
            ),
        ),
        do.fetch_bodies,
    ),
    Workload(
        "fetch-one",
        (_rate("fetch-one", "one body a command", _level(_MAILDIR), _level(_SDBOX)),),
        do.fetch_one_by_one,
    ),
    Workload(
        "search-body",
        (
            _time(
                "search-body",
                "SEARCH BODY, a rare word",
                Mark("a fiftieth of Maildir", 50.0, _MAILDIR),
                Mark("a thousandth of Maildir", 1000.0, _MAILDIR),
            ),
        ),
        do.search_body,
    ),
    Workload(
        "sort",
        (_time("sort", "SORT (REVERSE DATE)", _level(_MAILDIR), _level(_SDBOX)),),
        do.listing("SORT (REVERSE DATE) UTF-8 ALL", "SORT"),
    ),
    Workload(
        "thread",
        (_time("thread", "THREAD REFERENCES", _level(_MAILDIR), _level(_SDBOX)),),
        do.listing("THREAD REFERENCES UTF-8 ALL", "THREAD=REFERENCES"),
    ),
    Workload(
        "store-one",
        (
            _rate(
                "store-one",
                "STORE one flag, one message a command",
                Mark("3 times Maildir", 3.0, _MAILDIR),
                _level(_SDBOX),
            ),
        ),
        do.store_each,
    ),
    Workload(
        "store-all",
        (
            _time(
                "store-all",
                "STORE a flag on the whole mailbox",
                Mark("a fifth of Maildir", 5.0, _MAILDIR),
                _level(_SDBOX),
            ),
        ),
        do.store_all,
    ),
    Workload(
        "noop",
        (
            _rate(
                "noop",
                "NOOP, one connection",
                Mark("2 times Maildir", 2.0, _MAILDIR),
                Mark("2 times sdbox", 2.0, _SDBOX),
            ),
        ),
        do.noop,
    ),
    Workload(
        "login",
        (_rate("login", "connect, LOGIN, SELECT, LOGOUT", _level(_MAILDIR), _level(_SDBOX)),),
        do.sign_in,
    ),
    Workload(
        "memory",
        (
            _time(
                "memory",
                "memory per idle selected connection (PSS)",
                Mark("a thirtieth of Maildir", 30.0, _MAILDIR),
                Mark("a fiftieth of Maildir", 50.0, _MAILDIR),
                "KiB",
            ),
        ),
        do.idle_memory,
    ),
    Workload(
        "crowd",
        (
            _time("crowd-memory", "memory per session of 5,000 in IDLE (PSS)", unit="KiB"),
            _time("crowd-told", "a delivery told to the last of 2,500 sessions"),
        ),
        crowd.wait_in_idle,
    ),
    Workload(
        "pop3",
        (
            _rate("pop3", "POP3 RETR, one connection", _level(_MAILDIR), _ahead(_SDBOX)),
            _rate("pop3-top", "POP3 TOP n 0, one connection"),
        ),
        do.pop3_retrieve,
    ),
    Workload(
        "pop3-list",
        (
            _time("pop3-open", "POP3: sign in to the large mailbox"),
            _time("pop3-list", "POP3: LIST and UIDL of the large mailbox"),
        ),
        do.pop3_list,
    ),
    Workload(
        "mixed",
        (
            _rate(
                "mixed",
                "mixed IMAP load, 10 clients",
                _level(_MAILDIR),
                _ahead(_SDBOX),
                "commands/s",
            ),
        ),
        do.mixed_load,
    ),
)
