"""What EHLO may offer, in the order in which it is told."""

from __future__ import annotations

from enum import StrEnum


class Keyword(StrEnum):
    PIPELINING = "PIPELINING"  # RFC 2920
    SIZE = "SIZE"  # RFC 1870
    EIGHT_BIT = "8BITMIME"  # RFC 6152
    BINARY = "BINARYMIME"  # RFC 3030
    CHUNKING = "CHUNKING"  # RFC 3030
    SMTPUTF8 = "SMTPUTF8"  # RFC 6531
    ENHANCED = "ENHANCEDSTATUSCODES"  # RFC 2034
    STARTTLS = "STARTTLS"  # RFC 3207
    AUTH = "AUTH"  # RFC 4954
    BURL = "BURL"  # RFC 4468
    DSN = "DSN"  # RFC 3461
    REQUIRETLS = "REQUIRETLS"  # RFC 8689
    DELIVERBY = "DELIVERBY"  # RFC 2852
    FUTURERELEASE = "FUTURERELEASE"  # RFC 4865
    PRIORITY = "MT-PRIORITY"  # RFC 6710
    NO_SOLICITING = "NO-SOLICITING"  # RFC 3865
    LIMITS = "LIMITS"  # RFC 9422
    ETRN = "ETRN"  # RFC 1985
    XVERP = "XVERP"  # Postfix's VERP_README
    XCLIENT = "XCLIENT"  # Postfix's XCLIENT_README
    VRFY = "VRFY"  # RFC 5321 section 4.1.1.6
    EXPN = "EXPN"  # RFC 5321 section 4.1.1.7
    HELP = "HELP"  # RFC 5321 section 4.1.1.8


Offer = frozenset[Keyword]

NOTHING_OFFERED: Offer = frozenset()
