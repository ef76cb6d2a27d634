"""What the client sent and can't be obeyed, as a value that knows its reply."""

from dataclasses import dataclass
from enum import StrEnum

from postroom_imap.protocol.language import say


class Refusal(StrEnum):
    """BAD: the client broke the protocol; NO: well-formed, but impossible whatever the state."""

    BAD = "BAD"
    NO = "NO"


@dataclass(frozen=True, slots=True)
class InvalidCommand:
    """A command that was read to its end and refused.

    Attributes:
        tag: the command's tag, None where the line had none.
        text: printable ASCII for people; never a byte of what the client sent.
        code: the response code without brackets.
        fatal: the stream can't be followed any more; the reply is BYE and the connection must end.
    """

    tag: bytes | None
    text: str
    code: bytes | None = None
    refusal: Refusal = Refusal.BAD
    fatal: bool = False

    def reply(self) -> bytes:
        """The one response line that answers the command."""
        tag = b"*" if self.fatal or self.tag is None else self.tag
        status = "BYE" if self.fatal else self.refusal
        code = b"[%b] " % self.code if self.code else b""
        return b"%b %b %b%b\r\n" % (tag, status.encode(), code, say(self.text))


class SyntaxFault(Exception):
    """Stops the parsing of one command; ``InvalidCommand`` carries it on from there."""

    def __init__(
        self, text: str, code: bytes | None = None, refusal: Refusal = Refusal.BAD
    ) -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.refusal = refusal
