"""A notice on its way to who sent what it tells of (RFC 3464): by the null sender, so that nothing
is told of it in turn.
"""

from __future__ import annotations

from postroom_smtp.ports import Arrival, Delivery, LocalRecipient, Resolution, Whereabouts
from postroom_smtp.protocol.envelope import Body, Notify, Recipient, Request
from postroom_smtp.protocol.trace import return_path

NEVER = frozenset({Notify.NEVER})


def to_sender(
    sender: str,
    found: Resolution,
    content: bytes,
    *,
    key: bytes,
    message_id: str,
    asked: Request,
    trace_id: str = "",
) -> Delivery | None:
    """The delivery of a notice; None: it can't go anywhere.

    Args:
        found: what the sender's address stands for.
        key: the same for the same notice.
        message_id: the notice's, without angle brackets.
        asked: of the message that it tells of.
    """
    elsewhere = [sender] if found.whereabouts is Whereabouts.FOREIGN else found.forwards
    queue = tuple(Recipient(address, notify=NEVER) for address in elsewhere)
    local = tuple(LocalRecipient(one.account_id, sender) for one in found.accounts)
    if not local and not queue:
        return None
    return Delivery(
        key,
        "",
        (return_path("") if local else b"") + content,
        local,
        queue,
        trace_id=trace_id,
        # RFC 8689 section 5: what was to travel safely is told of safely.
        request=Request(
            body=Body.SEVEN_BIT if content.isascii() else Body.EIGHT_BIT,
            require_tls=asked.require_tls,
            smtputf8=not sender.isascii(),
        ),
        arrival=Arrival(message_id=message_id),
    )
