"""The base64 in which SASL travels (RFC 3501 section 6.2.2, RFC 4959)."""

import binascii


def decode_base64(text: bytes) -> bytes:
    """The octets of strict base64 (RFC 4648 section 4); raises ValueError for anything else."""
    return binascii.a2b_base64(text, strict_mode=True)
