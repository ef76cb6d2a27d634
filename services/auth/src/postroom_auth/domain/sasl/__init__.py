"""SASL mechanisms: one module a family, one table of all, and what an operator offers of them."""

from __future__ import annotations

from postroom_auth.domain.sasl.exchange import Mechanism, Need
from postroom_auth.domain.sasl.kerberos import gssapi, kpop
from postroom_auth.domain.sasl.oauth import oauthbearer, xoauth2
from postroom_auth.domain.sasl.plain import login, plain

ISSUER = frozenset({Need.ISSUER})
KEYTAB = frozenset({Need.KEYTAB})

MECHANISMS: dict[str, Mechanism] = {
    mechanism.name: mechanism
    for mechanism in (
        # Strongest first: this is the order in which they are offered.
        Mechanism("GSSAPI", gssapi, needs=KEYTAB, protocols=frozenset({"imap", "pop3", "smtp"})),
        Mechanism("OAUTHBEARER", oauthbearer, reveals_password=True, needs=ISSUER),
        Mechanism("XOAUTH2", xoauth2, reveals_password=True, needs=ISSUER),
        Mechanism("PLAIN", plain, reveals_password=True, one_step=True),
        Mechanism("LOGIN", login, reveals_password=True),
        Mechanism("X-KPOP", kpop, needs=KEYTAB, by_default=False, protocols=frozenset({"pop3"})),
    )
}
