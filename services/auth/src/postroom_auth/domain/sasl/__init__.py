"""SASL mechanisms: one module a family, one table of all, and what an operator offers of them."""

from __future__ import annotations

from postroom_auth.domain.sasl.exchange import Mechanism, Need
from postroom_auth.domain.sasl.external import external
from postroom_auth.domain.sasl.plain import login, plain
from postroom_auth.domain.sasl.scram import scram

_BOUND = frozenset({Need.CHANNEL_BINDING})
_CERTIFICATE = frozenset({Need.CERTIFICATE})

MECHANISMS: dict[str, Mechanism] = {
    mechanism.name: mechanism
    for mechanism in (
        # Strongest first: this is the order in which they are offered.
        Mechanism("EXTERNAL", external, needs=_CERTIFICATE, one_step=True),
        Mechanism("SCRAM-SHA-256-PLUS", scram("SCRAM-SHA-256", plus=True), needs=_BOUND),
        Mechanism("SCRAM-SHA-1-PLUS", scram("SCRAM-SHA-1", plus=True), needs=_BOUND),
        Mechanism("SCRAM-SHA-256", scram("SCRAM-SHA-256")),
        Mechanism("SCRAM-SHA-1", scram("SCRAM-SHA-1")),
        Mechanism("PLAIN", plain, reveals_password=True, one_step=True),
        Mechanism("LOGIN", login, reveals_password=True),
    )
}
