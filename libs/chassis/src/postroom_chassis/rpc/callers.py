"""Which service may call which RPC service. The whole of who may do what, in one table.

A caller is known by its certificate: the DNS name `<service>.postroom` among its subject
alternative names. gRPC's own health checking and reflection answer whoever bears a certificate:
they tell what the protos tell.
"""

from __future__ import annotations

from collections.abc import Iterable

from postroom_chassis.tickets import SCOPE_MAIL, SCOPE_MAILDROP, SCOPE_QUOTA, SCOPE_SUBMIT

SUFFIX = ".postroom"

CALLERS: dict[str, frozenset[str]] = {
    "postroom.auth.v1.AuthenticationService": frozenset({"smtp", "pop3", "imap", "admin"}),
    "postroom.auth.v1.DirectoryService": frozenset({"smtp", "imap", "admin"}),
    "postroom.auth.v1.AccountService": frozenset({"admin"}),
    "postroom.auth.v1.QuotaService": frozenset({"imap"}),
    "postroom.auth.v1.SecretService": frozenset({"admin"}),
    "postroom.auth.v1.DkimService": frozenset({"admin"}),
    "postroom.auth.v1.SigningService": frozenset({"smtp"}),
    "postroom.store.v1.MailboxService": frozenset({"imap"}),
    "postroom.store.v1.MessageService": frozenset({"imap"}),
    "postroom.store.v1.QuotaService": frozenset({"imap"}),
    "postroom.store.v1.ChangeService": frozenset({"imap"}),
    "postroom.store.v1.UrlService": frozenset({"imap", "smtp"}),
    "postroom.store.v1.MaildropService": frozenset({"pop3"}),
    "postroom.store.v1.DeliveryService": frozenset({"smtp"}),
    "postroom.store.v1.QueueService": frozenset({"admin"}),
    "postroom.store.v1.SendingService": frozenset({"smtp"}),
    "postroom.store.v1.ScreeningService": frozenset({"smtp"}),
    "postroom.store.v1.TraceService": frozenset({"admin"}),
    "postroom.store.v1.AdminService": frozenset({"admin"}),
    # Each call on it is checked like a call by itself.
    "postroom.rpc.v1.CallService": frozenset({"smtp", "pop3", "imap", "admin"}),
}

# Services whose calls act for a person: the ticket they bear needs one of these scopes.
SCOPES: dict[str, frozenset[str]] = {
    "postroom.auth.v1.QuotaService": frozenset({SCOPE_MAIL}),
    "postroom.store.v1.QuotaService": frozenset({SCOPE_MAIL, SCOPE_QUOTA}),
    "postroom.store.v1.MailboxService": frozenset({SCOPE_MAIL}),
    "postroom.store.v1.MessageService": frozenset({SCOPE_MAIL}),
    "postroom.store.v1.UrlService": frozenset({SCOPE_MAIL, SCOPE_SUBMIT}),
    "postroom.store.v1.MaildropService": frozenset({SCOPE_MAIL, SCOPE_MAILDROP}),
}


def caller_of(names: Iterable[bytes]) -> str:
    """The service that a certificate's alternative names stand for, or nothing."""
    for name in names:
        text = name.decode("ascii", "replace")
        if text.endswith(SUFFIX):
            return text.removesuffix(SUFFIX)
    return ""
