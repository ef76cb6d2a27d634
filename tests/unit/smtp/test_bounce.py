"""What refusals mean. The replies are those of servers that much mail goes to, and of Postfix, Exim
and Dovecot.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_smtp.protocol.bounce import Bounce, classify
from postroom_smtp.protocol.response import Response, made_here


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "kind"),
    [
        (550, "5.1.1", "The email account that you tried to reach does not exist.", "recipient"),
        (550, "5.1.10", "RESOLVER.ADR.RecipientNotFound; Recipient not found", "domain"),
        (550, "", "No such user here", "recipient"),
        (550, "", "Requested action not taken: mailbox unavailable", "recipient"),
        (554, "", "delivery error: dd This user doesn't have a yahoo.com account", "recipient"),
        (550, "5.2.1", "The email account that you tried to reach is disabled.", "inactive"),
        (452, "4.2.2", "The email account that you tried to reach is over quota", "full"),
        (552, "", "Mailbox full, quota exceeded", "full"),
        (450, "4.2.0", "Recipient address rejected: Greylisted, see postgrey", "greylisted"),
        (451, "4.7.1", "Greylisting in action, please come back later", "greylisted"),
        (421, "4.7.28", "Our system has detected an unusual rate of unsolicited mail", "rate"),
        (421, "4.7.0", "Too many connections from your host", "rate"),
        (451, "", "4.7.650 The mail server has been temporarily rate limited", "rate"),
        (554, "5.7.1", "Service unavailable; client blocked using zen.spamhaus.org", "reputation"),
        (550, "5.7.1", "Mail from IP was rejected due to listing in Barracuda", "reputation"),
        (550, "5.7.1", "This message was identified as spam", "spam"),
        (554, "5.7.1", "Message contains a virus (Eicar)", "malware"),
        (550, "5.7.26", "This mail is unauthenticated", "authentication"),
        (550, "5.7.1", "SPF check failed", "authentication"),
        (550, "5.7.1", "Relay access denied", "policy"),
        (552, "5.3.4", "Message size exceeds fixed limit", "size"),
        (550, "5.7.10", "Encryption needed", "tls"),
        (530, "5.7.0", "Must issue a STARTTLS command first", "tls"),
        (554, "5.4.6", "Too many hops", "loop"),
        (556, "5.1.10", "null MX", "domain"),
        (451, "4.4.1", "connection refused", "network"),
        (451, "4.3.0", "", "server"),
        (421, "", "", "server"),
    ],
)
def test_known(code: int, enhanced: str, text: str, kind: str) -> None:
    assert classify(Response(code, enhanced, (text,))) == kind


@given(st.integers(400, 599), st.text(max_size=200))
def test_anything(code: int, text: str) -> None:
    assert classify(made_here(code, "", text)) in set(Bounce)
