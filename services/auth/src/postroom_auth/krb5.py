"""The few calls of libkrb5 that KPOP needs, by ctypes: an AP-REQ is read, an AP-REP or a KRB-ERROR
made (RFC 4120 sections 3.2 and 5.5).

`gssapi` has no part in it: KPOP's messages are Kerberos's own, not framed as the GSS-API's tokens.
The structures are those of MIT's krb5.h, which have kept their layout since release 1.0. Every
call blocks; nothing here is shared between threads.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ctypes import POINTER, byref, c_char_p, c_int32, c_ubyte, c_uint, c_uint32, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIBRARY = "libkrb5.so.3"

# krb5.h, and the error table of RFC 4120 section 7.5.9 (com_err's base for it).
AP_OPTS_MUTUAL_REQUIRED = 0x20000000
PROTOCOL_ERRORS = -1765328384
GENERIC_ERROR = 60
UNREADABLE = (2, 13)  # ENOENT, EACCES: of the keytab's file


class _Data(ctypes.Structure):
    _fields_ = (("magic", c_int32), ("length", c_uint), ("data", c_void_p))


class _EncData(ctypes.Structure):
    _fields_ = (
        ("magic", c_int32),
        ("enctype", c_int32),
        ("kvno", c_uint),
        ("ciphertext", _Data),
    )


class _Transited(ctypes.Structure):
    _fields_ = (("magic", c_int32), ("tr_type", c_ubyte), ("tr_contents", _Data))


class _Times(ctypes.Structure):
    _fields_ = tuple((name, c_int32) for name in ("authtime", "starttime", "endtime", "renew_till"))


class _EncTicketPart(ctypes.Structure):
    _fields_ = (
        ("magic", c_int32),
        ("flags", c_int32),
        ("session", c_void_p),
        ("client", c_void_p),
        ("transited", _Transited),
        ("times", _Times),
    )


class _Ticket(ctypes.Structure):
    _fields_ = (
        ("magic", c_int32),
        ("server", c_void_p),
        ("enc_part", _EncData),
        ("enc_part2", POINTER(_EncTicketPart)),
    )


class _Error(ctypes.Structure):
    _fields_ = (
        ("magic", c_int32),
        ("ctime", c_int32),
        ("cusec", c_int32),
        ("susec", c_int32),
        ("stime", c_int32),
        ("error", c_uint32),
        ("client", c_void_p),
        ("server", c_void_p),
        ("text", _Data),
        ("e_data", _Data),
    )


class KerberosError(Exception):
    """What libkrb5 said, for the log.

    Attributes:
        ours: the keytab can't be read, whatever the client sent.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.ours = code in UNREADABLE


@dataclass(frozen=True, slots=True)
class Request:
    """An AP-REQ that was found right.

    Attributes:
        client, server: principals, as they are written.
        ends_at: Unix seconds, of the ticket.
        reply: an AP-REP, where the client asked for one.
    """

    client: str
    server: str
    ends_at: int
    reply: bytes


class Krb5:
    """libkrb5, and a keytab.

    Raises:
        OSError: the library isn't there.
    """

    def __init__(self, keytab: Path) -> None:
        self._keytab = f"FILE:{keytab}".encode()
        self._library = ctypes.CDLL(LIBRARY)
        for name in ("krb5_get_error_message", "krb5_free_error_message"):
            getattr(self._library, name).restype = c_void_p

    def read_request(self, request: bytes) -> Request:
        """Read an AP-REQ for any service in the keytab. Raises KerberosError."""
        with self._context() as context, ExitStack() as stack:
            keytab, auth, ticket = c_void_p(), c_void_p(), POINTER(_Ticket)()
            self._call(context, "krb5_kt_resolve", self._keytab, byref(keytab))
            stack.callback(self._free, context, "krb5_kt_close", keytab)
            options = c_int32()
            stack.callback(self._free, context, "krb5_auth_con_free", auth)
            self._call(
                context,
                "krb5_rd_req",
                byref(auth),
                byref(_data(request)),
                None,
                keytab,
                byref(options),
                byref(ticket),
            )
            stack.callback(self._free, context, "krb5_free_ticket", ticket)
            part = ticket.contents.enc_part2.contents
            reply = _Data()
            if options.value & AP_OPTS_MUTUAL_REQUIRED:
                self._call(context, "krb5_mk_rep", auth, byref(reply))
            return Request(
                self._name(context, part.client),
                self._name(context, ticket.contents.server),
                # Seconds of 32 bits without a sign, so that 2038 is no end.
                part.times.endtime & 0xFFFFFFFF,
                self._taken(context, reply),
            )

    def make_error(self, server: str, error: KerberosError) -> bytes:
        """A KRB-ERROR for the client. Raises KerberosError."""
        number = error.code - PROTOCOL_ERRORS
        with self._context() as context, ExitStack() as stack:
            principal, made = c_void_p(), _Data()
            self._call(context, "krb5_parse_name", server.encode(), byref(principal))
            stack.callback(self._free, context, "krb5_free_principal", principal)
            # Named, so that what it points to outlives the call.
            text = _data(str(error).encode()[:200] + b"\0")
            told = _Error(
                stime=int(time.time()) & 0x7FFFFFFF,
                error=number if 0 <= number < 128 else GENERIC_ERROR,
                server=principal,
                text=text,
            )
            self._call(context, "krb5_mk_error", byref(told), byref(made))
            return self._taken(context, made)

    @contextmanager
    def _context(self) -> Iterator[c_void_p]:
        context = c_void_p()
        if code := self._library.krb5_init_context(byref(context)):
            raise KerberosError(code, "libkrb5 can't begin: is krb5.conf right?")
        try:
            yield context
        finally:
            self._library.krb5_free_context(context)

    def _call(self, context: c_void_p, name: str, *arguments: Any) -> None:
        function: Callable[..., int] = getattr(self._library, name)
        code = function(context, *arguments)
        if code:
            pointer = self._library.krb5_get_error_message(context, code)
            message = ctypes.string_at(pointer).decode("utf-8", "replace")
            self._library.krb5_free_error_message(context, c_void_p(pointer))
            raise KerberosError(code, message)

    def _free(self, context: c_void_p, name: str, thing: Any) -> None:
        if thing:
            getattr(self._library, name)(context, thing)

    def _name(self, context: c_void_p, principal: int) -> str:
        written = c_char_p()
        self._call(context, "krb5_unparse_name", c_void_p(principal), byref(written))
        try:
            return (written.value or b"").decode("utf-8", "replace")
        finally:
            self._library.krb5_free_unparsed_name(context, written)

    def _taken(self, context: c_void_p, made: _Data) -> bytes:
        try:
            return ctypes.string_at(made.data, made.length) if made.data else b""
        finally:
            self._library.krb5_free_data_contents(context, byref(made))


def _data(octets: bytes) -> _Data:
    buffer = ctypes.create_string_buffer(octets, len(octets))
    data = _Data(0, len(octets), ctypes.cast(buffer, c_void_p))
    data.buffer = buffer  # it lives as long as what points to it
    return data
