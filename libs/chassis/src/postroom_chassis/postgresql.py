"""How connections to PostgreSQL find out that the server is gone.

A server that is killed with its machine, or its container, says no good-bye: what was sent to it is
sent again for a quarter of an hour, and whoever waits for the answer waits as long. Whoever calls
us waits twenty seconds.
"""

from __future__ import annotations

# Of libpq (PostgreSQL's manual, section "Parameter Key Words").
CONNECTION: dict[str, int] = {
    "connect_timeout": 5,  # seconds
    "tcp_user_timeout": 8_000,  # milliseconds that what was sent may go without an answer
    "keepalives_idle": 5,  # seconds after which an idle server is asked whether it is there
    "keepalives_interval": 3,
    "keepalives_count": 3,
}
