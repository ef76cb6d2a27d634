"""SMTP without I/O (RFC 5321 and its extensions): the grammar, replies, DATA, trace fields.

Nothing here knows asyncio, gRPC, aiosmtpd, or who the client is.
"""
