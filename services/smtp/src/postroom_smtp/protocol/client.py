"""The client's side of SMTP (RFC 5321) and LMTP (RFC 2033), without I/O.

`Conversation` is what is said on one connection: a method puts commands into `unsent` and reads the
replies; whoever drives it sends `unsent` before it waits for more. `Transaction` is one message for
some recipients. What it has learned of each of them stays in `answers`, also where the connection
is lost on the way.

Commands are sent together where the server offers PIPELINING (RFC 2920), DATA among them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import idna
from postroom_chassis.net.stream import ByteStream, Reader
from postroom_mime.conversion import Domain

from postroom_smtp.protocol.envelope import Body, Recipient, Request
from postroom_smtp.protocol.response import Nonsense, Response, made_here, read_response
from postroom_smtp.protocol.sasl import Credentials, choose

_KEYWORD = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:[ =](.*))?")
_SIZE = re.compile(r"[0-9]{1,20}")
# What may stand between angle brackets: no controls, and no bracket that ends it.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f<>]")
_XTEXT = re.compile(r"[^!-~]|[+=]")
_UNITEXT = re.compile(r"[^!-~\u0080-\U0010ffff]|[+=\\]")
_UTF8_XTEXT = re.compile(r"[^!-~]|[+=\\]")
MOST_KEYWORDS = 100
MOST_STEPS = 8  # of signing in


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server says of itself (RFC 5321 section 4.1.1.1).

    Attributes:
        name: what it calls itself.
        keywords: in upper case, with what follows each.
    """

    name: str = ""
    keywords: dict[str, str] = field(default_factory=dict)

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.keywords

    @property
    def size(self) -> int:
        """The largest message that it takes (RFC 1870 section 4); 0: it doesn't say."""
        return _number(self.keywords.get("SIZE", ""))

    @property
    def mechanisms(self) -> frozenset[str]:
        return frozenset(self.keywords.get("AUTH", "").upper().split())

    def limit(self, name: str) -> int:
        """RFC 9422: MAILMAX, RCPTMAX; 0: it doesn't say."""
        for word in self.keywords.get("LIMITS", "").split():
            own, _, value = word.partition("=")
            if own.upper() == name:
                return _number(value)
        return 0


def read_offer(response: Response) -> Offer:
    """The keywords of a reply to EHLO. What is none is read over."""
    keywords: dict[str, str] = {}
    for line in response.lines[1 : MOST_KEYWORDS + 1]:
        # "AUTH=" is from before RFC 2554, and still said.
        if found := _KEYWORD.fullmatch(line.strip()):
            keyword, rest = found[1].upper(), found[2] or ""
            keywords[keyword] = f"{keywords[keyword]} {rest}" if keyword in keywords else rest
    return Offer(response.lines[0].partition(" ")[0].lower(), keywords)


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as it is sent, for some recipients.

    Attributes:
        size: in octets.
        eight_bit: it has octets over 127.
        utf8_header: its header has some.
        bare: it has a CR or an LF by itself.
        by_seconds: how much is left of the time for it (RFC 2852); None: it may take its time.
        fixed: why it can't be converted; empty: nobody has tried.
    """

    sender: str
    recipients: tuple[Recipient, ...]
    size: int
    request: Request
    eight_bit: bool = False
    utf8_header: bool = False
    bare: bool = False
    by_seconds: int | None = None
    fixed: str = ""

    @property
    def binary(self) -> bool:
        """It can't follow DATA (RFC 3030 section 3)."""
        return self.request.body is Body.BINARY or self.bare


class Conversation:
    """What is said on one connection.

    Attributes:
        unsent: what is to be sent before anything is waited for.
        offer: what the server said last of itself; nothing before `hello`.
        over: nothing more is to be said.
        messages: how many transactions have begun.

    Args:
        lmtp: it is LMTP.
    """

    def __init__(self, stream: ByteStream, *, lmtp: bool = False) -> None:
        self.stream = stream
        self.unsent = bytearray()
        self.offer = Offer()
        self.over = False
        self.lmtp = lmtp
        self.messages = 0
        self.open_transaction = False

    def greet(self) -> Reader[Response]:
        """The server's greeting. Whether it is a good one, the code says."""
        return (yield from self.hear())

    def hello(self, name: str) -> Reader[Response]:
        """EHLO, or HELO where the server doesn't know it (RFC 5321 section 4.1.4); LHLO."""
        response = yield from self.ask(f"{'LHLO' if self.lmtp else 'EHLO'} {name}")
        if response.positive:
            self.offer = read_offer(response)
        elif response.permanent and not self.lmtp:
            response = yield from self.ask(f"HELO {name}")
            self.offer = Offer(response.text.partition(" ")[0].lower())
        return response

    def ask_tls(self) -> Reader[Response]:
        """STARTTLS (RFC 3207). After the handshake everything begins anew, by `hello`."""
        response = yield from self.ask("STARTTLS")
        if response.positive:
            self.offer = Offer()
            # What came in clear text after the reply is somebody else's (RFC 3207 section 6).
            self.stream.clear()
        return response

    def sign_in(self, credentials: Credentials) -> Reader[Response]:
        """AUTH (RFC 4954), by the best mechanism that both know."""
        chosen = choose(self.offer.mechanisms, credentials)
        if chosen is None:
            return made_here(454, "4.7.0", "the server offers no way to sign in that we know")
        mechanism, exchange = chosen
        initial = next(exchange)
        said = "" if initial is None else " " + (initial or "=")
        response = yield from self.ask(f"AUTH {mechanism}{said}")
        for _ in range(MOST_STEPS):
            if response.code != 334:
                break
            try:
                answer = exchange.send(response.text)
            except (StopIteration, ValueError, KeyError):
                answer = "*"  # RFC 4954 section 4: the client gives up
            response = yield from self.ask(answer or "")
        return response

    def quit(self) -> None:
        """Say that this is all. The reply isn't waited for: nothing depends on it."""
        self.over = True
        self.say("QUIT")

    def ask(self, command: str) -> Reader[Response]:
        """One command, and its reply."""
        self.say(command)
        return (yield from self.hear())

    def say(self, command: str) -> None:
        self.unsent += command.encode() + b"\r\n"

    def hear(self) -> Reader[Response]:
        """The next reply. Raises Nonsense, EndOfStream."""
        try:
            response = yield from read_response(self.stream)
        except Nonsense:
            self.over = True
            raise
        self.over = self.over or response.over
        return response


class Transaction:
    """One message for some recipients.

    Attributes:
        answers: what was said last of each recipient, in their order; None: nothing yet. A positive
            one before `finish` means that the recipient was taken, and nothing of the message.
        ended: the end of the content was said: from here on the server may have the message.
    """

    def __init__(self, conversation: Conversation, mail: Mail) -> None:
        self._conversation = conversation
        self._mail = mail
        self._chunked = mail.binary and "CHUNKING" in conversation.offer
        self._sender_refused = False
        self._last = b"\r\n"  # the last octets of the content
        self._final: set[int] = set()
        self.answers: list[Response | None] = [None] * len(mail.recipients)
        self.ended = False

    def open(self) -> Reader[bool]:
        """MAIL, RCPT and DATA. False where there is nobody who gets the message: `answers` says
        why, and all is as if the transaction hadn't begun.

        Raises Nonsense, EndOfStream.
        """
        told = self._conversation
        together = "PIPELINING" in told.offer
        steps: list[tuple[str, Callable[[Response], None]]] = []
        if told.open_transaction:
            steps.append(("RSET", _nothing))
        steps.append((mail_command(self._mail, told.offer), self._sender_heard))
        steps += [
            (recipient_command(recipient, self._mail, told.offer), self._recipient_heard(number))
            for number, recipient in enumerate(self._mail.recipients)
        ]
        told.open_transaction = True
        told.messages += 1
        if together:
            told.unsent += b"".join(command.encode() + b"\r\n" for command, _ in steps)
            if not self._chunked:
                told.say("DATA")
        for command, heard in steps:
            if told.over or (self._refused and not together):
                break
            if not together:
                told.say(command)
            heard((yield from self._hear()))
        return (yield from self._begin(together and not self._chunked))

    def put(self, piece: bytes) -> None:
        """Add a piece of the content to what is unsent; then `heard`.

        Raises ValueError where it can't follow DATA: nothing has been taken then, and the
        connection is to be given up.
        """
        told = self._conversation
        if self._chunked:
            told.unsent += b"BDAT %d\r\n" % len(piece) + piece
            return
        seen = self._last + piece
        # What an LF at the beginning follows has been looked at; what follows a CR at the end is
        # in the next piece.
        if bare(seen, within=True):
            raise ValueError("a CR or an LF by itself")
        # A line that begins with a dot gets another one (RFC 5321 section 4.5.2).
        told.unsent += seen.replace(b"\r\n.", b"\r\n..")[len(self._last) :]
        self._last = seen[-2:]

    def heard(self) -> Reader[bool]:
        """What the server says to a piece: nothing after DATA, a reply to each BDAT (RFC 3030
        section 4.2). False where it takes no more: `answers` says why.

        Raises Nonsense, EndOfStream.
        """
        if not self._chunked:
            return True
        response = yield from self._hear()
        if not response.positive:
            self._all_heard(response)
        return bool(self.taken)

    def finish(self) -> Reader[None]:
        """Say the end of the content, and read what becomes of the message, into `answers`.

        Raises Nonsense, EndOfStream; ValueError as `put`.
        """
        told = self._conversation
        if self._chunked:
            told.unsent += b"BDAT 0 LAST\r\n"
        elif self._last.endswith(b"\r"):
            raise ValueError("a CR by itself")
        else:
            told.unsent += b".\r\n" if self._last == b"\r\n" else b"\r\n.\r\n"
        self.ended = True
        waiting = self.taken
        while waiting:
            response = _not_asked((yield from told.hear()))
            # RFC 2033 section 4.2: LMTP has a reply for each recipient. Who leaves says no more.
            heard = waiting[:1] if told.lmtp and not told.over else waiting
            for number in heard:
                self.answers[number] = response
            self._final.update(heard)
            waiting = waiting[len(heard) :]
        told.open_transaction = False

    def fate(self, number: int) -> Response | None:
        """What became of a recipient; None: nothing that is known."""
        heard = self.answers[number]
        known = heard is not None and (not heard.positive or number in self._final)
        return heard if known else None

    def cut_short(self) -> Reader[bool]:
        """Read what the server said before it stopped taking the content; False: nothing that
        counts. Raises Nonsense, EndOfStream.
        """
        response = yield from self._hear()
        if response.code < 400:
            return False
        self._all_heard(response)
        return True

    @property
    def taken(self) -> list[int]:
        """The numbers of the recipients whom the server hasn't refused."""
        return [at for at, heard in enumerate(self.answers) if heard is not None and heard.positive]

    def _begin(self, asked: bool) -> Reader[bool]:
        """From recipients to the content."""
        told = self._conversation
        if told.over:
            return False
        if self._chunked:
            return bool(self.taken)
        if not asked:
            if not self.taken:
                return False
            told.say("DATA")
        response = yield from self._hear()
        if response.code == 354 and self.taken:
            return True
        if response.code == 354 and self._sender_refused:
            # It would take an empty message for whoever it has taken.
            told.over = True
            return False
        if response.code == 354:
            # RFC 2920 section 3.1: the server waits for a content that nobody gets.
            told.unsent += b".\r\n"
            yield from self._hear()
            told.open_transaction = False
            return False
        self._all_heard(response)
        return False

    @property
    def _refused(self) -> bool:
        """Nobody gets the message."""
        return all(heard is not None and not heard.positive for heard in self.answers)

    def _hear(self) -> Reader[Response]:
        """The next reply; once the server has said that it leaves, what it said for all."""
        told = self._conversation
        response = yield from told.hear()
        if told.over:
            response = _not_asked(response)
            self.answers = [response if heard is None else heard for heard in self.answers]
            for number in self.taken:
                self.answers[number] = response
        return response

    def _sender_heard(self, response: Response) -> None:
        self._sender_refused = not response.positive
        if self._sender_refused:
            self.answers = [_not_asked(response)] * len(self.answers)

    def _recipient_heard(self, number: int) -> Callable[[Response], None]:
        def heard(response: Response) -> None:
            if self.answers[number] is None:
                self.answers[number] = _not_asked(response)

        return heard

    def _all_heard(self, response: Response) -> None:
        for number in self.taken:
            self.answers[number] = _not_asked(response)


def conversion(mail: Mail, offer: Offer) -> Domain | None:
    """What a message is to be converted to for a server; None: that takes it as it is."""
    if mail.binary and not _takes_binary(mail, offer):
        return Domain.EIGHT_BIT if "8BITMIME" in offer else Domain.SEVEN_BIT
    if mail.eight_bit and not mail.binary and "8BITMIME" not in offer:
        return Domain.SEVEN_BIT
    return None


def obstacle(mail: Mail, offer: Offer) -> Response | None:
    """Why a server can't be given a message, as it is; None: it can. For good, all of it."""
    if offer.size and mail.size > offer.size:
        return made_here(552, "5.3.4", f"the server takes no more than {offer.size} octets")
    if mail.request.require_tls and "REQUIRETLS" not in offer:
        return made_here(550, "5.7.30", "the server doesn't know REQUIRETLS")
    if conversion(mail, offer) is not None:
        return made_here(554, "5.6.3", _unconverted(mail))
    if "SMTPUTF8" not in offer:
        for address in (mail.sender, *(one.address for one in mail.recipients)):
            if not address.isascii() and _in_ascii(address) is None:
                return made_here(553, "5.6.7", "the server takes no such address (SMTPUTF8)")
        if mail.utf8_header and mail.request.smtputf8:
            return made_here(554, "5.6.9", "the server takes no such header (SMTPUTF8)")
    if mail.by_seconds is not None and mail.request.by_returns:
        return _too_late(mail.by_seconds, offer)
    return None


def mail_command(mail: Mail, offer: Offer) -> str:
    """MAIL with what the server understands of what was asked for."""
    request, words = mail.request, [f"MAIL FROM:<{_path(mail.sender, offer)}>"]
    if "SIZE" in offer:
        words.append(f"SIZE={mail.size}")
    if mail.binary and "BINARYMIME" in offer and "CHUNKING" in offer:
        words.append("BODY=BINARYMIME")
    elif mail.eight_bit and "8BITMIME" in offer:
        words.append("BODY=8BITMIME")
    if _needs_utf8(mail) and "SMTPUTF8" in offer:
        words.append("SMTPUTF8")
    if "DSN" in offer:
        if request.ret is not None:
            words.append(f"RET={request.ret.value}")
        if request.envid:
            words.append(f"ENVID={xtext(request.envid)}")
    if request.require_tls and "REQUIRETLS" in offer:
        words.append("REQUIRETLS")
    if request.priority and "MT-PRIORITY" in offer:
        words.append(f"MT-PRIORITY={request.priority}")
    if mail.by_seconds is not None and "DELIVERBY" in offer:
        words.append(f"BY={mail.by_seconds};{'R' if request.by_returns else 'N'}")
    return " ".join(words)


def recipient_command(recipient: Recipient, mail: Mail, offer: Offer) -> str:
    """RCPT with what the server understands of what was asked for (RFC 3461 section 5.2.1)."""
    words = [f"RCPT TO:<{_path(recipient.address, offer)}>"]
    if "DSN" in offer:
        if recipient.notify:
            words.append("NOTIFY=" + ",".join(sorted(each.value for each in recipient.notify)))
        if recipient.original:
            words.append(f"ORCPT={_original(recipient.original, mail, offer)}")
    return " ".join(words)


def xtext(text: str) -> str:
    """RFC 3461 section 4."""
    return "".join(
        "".join(f"+{octet:02X}" for octet in each.encode()) if _XTEXT.match(each) else each
        for each in text
    )


def bare(content: bytes, *, within: bool = False) -> bool:
    """Whether a CR or an LF stands by itself.

    Args:
        within: content goes before it and after it, so that an LF at the beginning and a CR at the
            end say nothing.
    """
    lines = content.count(b"\r\n")
    newlines = content.count(b"\n") - (within and content.startswith(b"\n"))
    returns = content.count(b"\r") - (within and content.endswith(b"\r"))
    return newlines != lines or returns != lines


def sendable(address: str) -> bool:
    """Whether an address can stand in a command."""
    return not _UNSAFE.search(address)


def _original(original: str, mail: Mail, offer: Offer) -> str:
    kind, _, address = original.partition(";")
    if kind.lower() != "utf-8":
        return f"{kind};{xtext(address)}"
    # RFC 6533 section 3: as it is where the transaction is an internationalized one.
    unsafe = _UNITEXT if _needs_utf8(mail) and "SMTPUTF8" in offer else _UTF8_XTEXT
    return f"{kind};" + unsafe.sub(lambda found: f"\\x{{{ord(found[0]):X}}}", address)


def _needs_utf8(mail: Mail) -> bool:
    """RFC 6531 section 3.4: asked for, or an address needs it."""
    addresses = (mail.sender, *(one.address for one in mail.recipients))
    return (mail.request.smtputf8 and mail.utf8_header) or not all(
        address.isascii() for address in addresses
    )


def _takes_binary(mail: Mail, offer: Offer) -> bool:
    # A message that is text but for its line ends needs no more than chunks.
    return "CHUNKING" in offer and ("BINARYMIME" in offer or mail.request.body is not Body.BINARY)


def _unconverted(mail: Mail) -> str:
    what = "can't be sent but as binary (RFC 3030)"
    if not mail.binary:
        what = "has 8-bit octets, and the server lacks 8BITMIME"
    return f"the message {what}" + (f"; it can't be converted: {mail.fixed}" if mail.fixed else "")


def _too_late(seconds: int, offer: Offer) -> Response | None:
    """RFC 2852 section 4: what must be there in time isn't given to who doesn't promise that."""
    if "DELIVERBY" not in offer:
        return made_here(550, "5.3.3", "the server doesn't know DELIVERBY")
    if seconds < _number(offer.keywords["DELIVERBY"]):
        return made_here(550, "5.4.7", "the server promises no delivery in so little time")
    return None


def _path(address: str, offer: Offer) -> str:
    if not sendable(address):
        raise ValueError("no address")
    return address if "SMTPUTF8" in offer else (_in_ascii(address) or address)


def _in_ascii(address: str) -> str | None:
    """With the domain in A-labels (RFC 5890); None where that isn't enough."""
    local, at, domain = address.rpartition("@")
    if not local.isascii():
        return None
    label = ascii_domain(domain)
    return None if label is None else local + at + label


def ascii_domain(domain: str) -> str | None:
    """A domain in A-labels; None where there can be no such one."""
    try:
        return domain if domain.isascii() else idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return None


def _not_asked(response: Response) -> Response:
    """3yz is no answer to anything but DATA and AUTH, and 221 none to anything but QUIT. What is no
    answer is temporary.
    """
    return _ODD if response.code == 221 or 300 <= response.code < 400 else response


def _nothing(response: Response) -> None:
    pass


def _number(text: str) -> int:
    return int(text) if _SIZE.fullmatch(text) else 0


_ODD = made_here(451, "4.5.0", "the server asks for something that wasn't offered")
