"""SASL mechanisms: one module a family, one table of all, and what an operator offers of them."""

from __future__ import annotations

from postroom_auth.domain.sasl.exchange import Mechanism
from postroom_auth.domain.sasl.plain import login, plain

MECHANISMS: dict[str, Mechanism] = {
    mechanism.name: mechanism
    for mechanism in (
        # Strongest first: this is the order in which they are offered.
        Mechanism("PLAIN", plain, reveals_password=True, one_step=True),
        Mechanism("LOGIN", login, reveals_password=True),
    )
}
