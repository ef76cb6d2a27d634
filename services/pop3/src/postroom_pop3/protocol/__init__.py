"""POP3 without I/O (RFC 1939, RFC 2449, RFC 5034): bytes in, values and bytes out.

Nothing here knows asyncio, gRPC, or who the client is.
"""
