"""SASL mechanisms: one module a family, one table of all, and what an operator offers of them."""

from __future__ import annotations

from postroom_auth.domain.sasl.exchange import Mechanism, Need
from postroom_auth.domain.sasl.external import external
from postroom_auth.domain.sasl.kerberos import gssapi, kpop
from postroom_auth.domain.sasl.oauth import oauthbearer, xoauth2
from postroom_auth.domain.sasl.plain import login, plain
from postroom_auth.domain.sasl.scram import PLUS, scram
from postroom_auth.domain.sasl.shared_secret import apop, cram_md5, rpop

_BINDING = frozenset({Need.CHANNEL_BINDING})
_CERTIFICATE = frozenset({Need.CERTIFICATE})
_SEALED = frozenset({Need.SECRETS_KEY})
_ISSUER = frozenset({Need.ISSUER})
_KEYTAB = frozenset({Need.KEYTAB})
_POP3 = frozenset({"pop3"})
_MAIL = frozenset({"imap", "pop3", "smtp"})


def _bound(family: str) -> Mechanism:
    """SCRAM with channel binding. Not by default: clients of GNU SASL (mutt) take it wherever they
    see it, and can't sign in where `tls-server-end-point` is all that there is.
    """
    return Mechanism(family + PLUS, scram(family, plus=True), needs=_BINDING, by_default=False)


MECHANISMS: dict[str, Mechanism] = {
    mechanism.name: mechanism
    for mechanism in (
        # Strongest first: this is the order in which they are offered.
        Mechanism("EXTERNAL", external, needs=_CERTIFICATE, one_step=True),
        Mechanism("GSSAPI", gssapi, needs=_KEYTAB, protocols=_MAIL),
        _bound("SCRAM-SHA-256"),
        _bound("SCRAM-SHA-1"),
        Mechanism("SCRAM-SHA-256", scram("SCRAM-SHA-256")),
        Mechanism("SCRAM-SHA-1", scram("SCRAM-SHA-1")),
        Mechanism("CRAM-MD5", cram_md5, needs=_SEALED, by_default=False),
        Mechanism("OAUTHBEARER", oauthbearer, reveals_password=True, needs=_ISSUER),
        Mechanism("XOAUTH2", xoauth2, reveals_password=True, needs=_ISSUER),
        Mechanism("PLAIN", plain, reveals_password=True, one_step=True),
        Mechanism("LOGIN", login, reveals_password=True),
        Mechanism("X-APOP", apop, needs=_SEALED, by_default=False, one_step=True, protocols=_POP3),
        Mechanism(
            "X-RPOP",
            rpop,
            reveals_password=True,
            needs=_SEALED,
            by_default=False,
            one_step=True,
            protocols=_POP3,
        ),
        Mechanism("X-KPOP", kpop, needs=_KEYTAB, by_default=False, protocols=_POP3),
    )
}
