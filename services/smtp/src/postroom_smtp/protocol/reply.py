"""Replies with enhanced status codes (RFC 5321 section 4.2, RFC 3463), and from errors to them."""

from __future__ import annotations

from dataclasses import dataclass

from postroom_chassis.errors import Kind, PostroomError


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of one line. The class of the enhanced code is the reply's (RFC 2034 section 4)."""

    code: int
    enhanced: str
    text: str

    def __post_init__(self) -> None:
        if self.enhanced.partition(".")[0] != str(self.code)[0]:
            raise ValueError(f"{self.code} and {self.enhanced} contradict each other")
        if not self.text.isprintable():
            raise ValueError("a reply is one line")

    @property
    def positive(self) -> bool:
        return self.code < 400

    @property
    def permanent(self) -> bool:
        """Whether the client is not to try again."""
        return self.code >= 500

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.text}"


class Refused(Exception):
    """A command can't be done; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "OK")
PRIORITY_CHANGED = Reply(250, "2.3.6", "0 is the new priority of the message")
RECIPIENT_OK = Reply(250, "2.1.5", "OK")
GOOD_BYE = Reply(221, "2.0.0", "good-bye")
NODE_STARTED = Reply(250, "2.0.0", "what waits for this domain is sent")
NOTHING_WAITS = Reply(251, "2.0.0", "nothing waits for this domain")
NOT_SAID = Reply(252, "2.5.2", "send mail, and it will be seen who is there")

NO_SPACE = Reply(452, "4.3.1", "there is no room here now")
TRY_LATER = Reply(451, "4.3.0", "not now, try again later")
GOING_DOWN = Reply(421, "4.3.2", "this server is going down, come back")
FAILED = Reply(421, "4.3.0", "something went wrong here, come back")
TIMED_OUT = Reply(421, "4.4.2", "you said nothing for too long")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "too many errors")
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "too many connections, come back later")
SIGN_IN_AGAIN = Reply(421, "4.7.0", "your account has changed: connect and sign in again")

EARLY_TALKER = Reply(554, "5.5.1", "you spoke before you were greeted")
OUT_OF_TURN = Reply(554, "5.5.1", "you spoke before you were answered")
NOT_FROM_THERE = Reply(554, "5.7.1", "you may not connect here")

BAD_SYNTAX = Reply(500, "5.5.2", "lines end with CRLF and are not that long")
BAD_ARGUMENTS = Reply(501, "5.5.4", "the arguments are wrong")
BAD_SENDER = Reply(501, "5.1.7", "that is no reverse-path")
BAD_RECIPIENT = Reply(501, "5.1.3", "that is no forward-path")
BAD_SEQUENCE = Reply(503, "5.5.1", "not in this order")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "there is no such parameter")
BAD_CHUNK = Reply(501, "5.5.4", "the chunk has no size: where it ends, nobody knows")
NO_COMMAND = Reply(500, "5.5.1", "there is no such command")
NOT_ASCII = Reply(553, "5.6.7", "an address like this needs SMTPUTF8")
TOO_LARGE = Reply(552, "5.3.4", "the message is too large")

UNKNOWN_RECIPIENT = Reply(550, "5.1.1", "nobody has this address")
IMPOSSIBLE_RECIPIENT = Reply(553, "5.1.3", "no address can be like this")
OVER_QUOTA = Reply(452, "4.2.2", "the mailbox is full")
NO_RELAYING = Reply(554, "5.7.1", "mail for others is not taken from you")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "too many recipients: send to the others by themselves")
NODE_NOT_ALLOWED = Reply(459, "4.7.1", "not for this domain")
NODE_LATER = Reply(458, "4.3.0", "not now, try again later")
HELD_TOO_LONG = Reply(501, "5.5.4", "no message is held that long")
NOT_SOLICITED = Reply(550, "5.7.1", "solicitations like this are not taken")
NOT_YOUR_ADDRESS = Reply(553, "5.7.1", "you may not send as this address")

SIGN_IN_FIRST = Reply(530, "5.7.0", "sign in first")
SIGNED_IN = Reply(235, "2.7.0", "you are signed in")
NOT_OFFERED = Reply(502, "5.5.1", "that is not offered here")
TLS_FIRST = Reply(538, "5.7.11", "not without TLS")
TLS_READY = Reply(220, "2.0.0", "begin TLS")
NO_TLS = Reply(454, "4.7.0", "there is no TLS here")
NO_MECHANISM = Reply(504, "5.5.4", "there is no such mechanism")
CANCELLED = Reply(501, "5.7.0", "as you wish")
BAD_BASE64 = Reply(501, "5.5.2", "that is not base64")
BAD_EXCHANGE = Reply(501, "5.5.2", "that exchange went wrong")
BAD_CREDENTIALS = Reply(535, "5.7.8", "the name or the password is wrong")
NO_SIGN_IN_NOW = Reply(454, "4.7.0", "you can't sign in now, try again later")

BARE_NEWLINE = Reply(550, "5.6.0", "the message has a CR or an LF by itself (RFC 5321 2.3.8)")
NOT_YOUR_AUTHOR = Reply(550, "5.7.1", "you may not send as who the From or Sender field names")
BAD_HEADER = Reply(
    550, "5.6.0", "the header section is too long, isn't one, or names its author twice"
)
NO_SUCH_CONTENT = Reply(554, "5.6.6", "the URL opens nothing for you")
NOT_TRUSTED = Reply(554, "5.7.14", "URLs are read for those who signed in")
LOOPING = Reply(554, "5.4.6", "the message goes round in circles")

SIGN_IN_REFUSALS: dict[Kind, Reply] = {
    Kind.UNAUTHENTICATED: BAD_CREDENTIALS,
    Kind.DENIED: BAD_CREDENTIALS,
    Kind.UNSUPPORTED: NO_MECHANISM,
    Kind.INVALID: BAD_EXCHANGE,
}
DELIVERY_REFUSALS: dict[Kind, Reply] = {
    Kind.TOO_LARGE: TOO_LARGE,
    Kind.OVER_QUOTA: OVER_QUOTA,
}


def sign_in_refusal(error: PostroomError) -> Reply:
    return SIGN_IN_REFUSALS.get(error.kind, NO_SIGN_IN_NOW)


def refusal(error: PostroomError) -> Reply:
    """What auth or the store couldn't do. Whatever isn't plainly the message's own fault is
    temporary: no mail bounces because a service is away or set up wrongly.
    """
    return DELIVERY_REFUSALS.get(error.kind, TRY_LATER)


def url_refusal(error: PostroomError) -> Reply:
    """Why a URL's content isn't here (RFC 4468 section 4)."""
    return NO_SUCH_CONTENT if error.kind is Kind.NOT_FOUND else refusal(error)
