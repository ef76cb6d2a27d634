"""How much one client may ask for, and for how long it may be silent."""

from __future__ import annotations

from dataclasses import dataclass, field

from postroom_imap.protocol.limits import Limits


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits on one session.

    Attributes:
        append_bytes: the largest message that APPEND takes.
        autologout_seconds: silence after which a session ends (RFC 3501 section 5.4: at least 30
            minutes).
        login_seconds: the same before login.
        bad_commands: after so many the session ends.
        login_failures: the same for refused logins.
        cleartext_login: let passwords travel in clear text from other machines.
        progress_seconds: how long a command lasts before its progress is told, and again.
        list_results: mailboxes that one LIST or LSUB tells.
        message_limit: messages that one command works on (RFC 9738).
        save_limit: messages that one COPY or APPEND saves.
        commands: on what is read of commands; tighter ones before login.
    """

    append_bytes: int = 64 * 1024 * 1024
    autologout_seconds: float = 1800.0
    login_seconds: float = 60.0
    bad_commands: int = 50
    login_failures: int = 5
    cleartext_login: bool = False
    progress_seconds: float = 10.0
    list_results: int = 50_000
    message_limit: int = 1_000_000
    save_limit: int = 1_000_000
    commands: Limits = field(default_factory=Limits)
    commands_before_login: Limits = field(
        default_factory=lambda: Limits(line=8192, literals=16_384, discard=65_536, sasl_line=12_288)
    )
