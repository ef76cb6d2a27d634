"""SASL mechanisms: one module a family, one table of all, and what an operator offers of them."""

from __future__ import annotations

from postroom_auth.domain.sasl.exchange import Mechanism, Need
from postroom_auth.domain.sasl.plain import login, plain
from postroom_auth.domain.sasl.shared_secret import apop, cram_md5, rpop

_SEALED = frozenset({Need.SECRETS_KEY})
_POP3 = frozenset({"pop3"})

MECHANISMS: dict[str, Mechanism] = {
    mechanism.name: mechanism
    for mechanism in (
        # Strongest first: this is the order in which they are offered.
        Mechanism("CRAM-MD5", cram_md5, needs=_SEALED, by_default=False),
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
    )
}
