"""The client's side of Kerberos's AP exchange (RFC 4120 section 3.2), by libkrb5 itself."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping
from ctypes import POINTER, byref, c_char_p, c_int32, c_uint, c_void_p
from typing import Any

MUTUAL = 0x20000000
AP_REP, KRB_ERROR = b"\x6f", b"\x7e"  # the tags of RFC 4120 section 5.10


class _Data(ctypes.Structure):
    _fields_ = (("magic", c_int32), ("length", c_uint), ("data", c_void_p))


class _Error(ctypes.Structure):
    _fields_ = (
        *((name, c_int32) for name in ("magic", "ctime", "cusec", "susec", "stime")),
        ("error", c_uint),
        ("client", c_void_p),
        ("server", c_void_p),
        ("text", _Data),
        ("e_data", _Data),
    )


class ApClient:
    """Somebody with tickets.

    Args:
        tickets: variables that say where they are.
        host, service: whom the ticket is for.
        ahead: seconds by which the client's clock is ahead.
    """

    def __init__(
        self,
        tickets: Mapping[str, str],
        service: str = "pop",
        host: str = "localhost",
        *,
        ahead: int = 0,
    ) -> None:
        self._library = ctypes.CDLL("libkrb5.so.3")
        self._context, self._cache, self._auth = c_void_p(), c_void_p(), c_void_p()
        self._whom = (service.encode(), host.encode())
        self._ahead = ahead
        assert self._library.krb5_init_context(byref(self._context)) == 0
        self._call("krb5_cc_resolve", tickets["KRB5CCNAME"].encode(), byref(self._cache))

    def request(self, *, mutual: bool = True) -> bytes:
        """A fresh AP-REQ."""
        # The ticket is had with the right clock: the KDC would know a wrong one, too.
        made = self._make(mutual)
        if self._ahead:
            self._call("krb5_set_real_time", c_int32(int(time.time()) + self._ahead), c_int32(-1))
            made = self._make(mutual)
        return made

    def believes(self, reply: bytes) -> bool:
        """Whether an AP-REP is that of the service to the last request."""
        answer = c_void_p()
        data = _Data(0, len(reply), ctypes.cast(c_char_p(reply), c_void_p))
        function: Any = self._library.krb5_rd_rep
        return bool(function(self._context, self._auth, byref(data), byref(answer)) == 0)

    def number(self, reply: bytes) -> int:
        """The number in a KRB-ERROR (RFC 4120 section 7.5.9)."""
        error = POINTER(_Error)()
        data = _Data(0, len(reply), ctypes.cast(c_char_p(reply), c_void_p))
        self._call("krb5_rd_error", byref(data), byref(error))
        return int(error.contents.error)

    def _make(self, mutual: bool) -> bytes:
        made = _Data()
        self._auth = c_void_p()
        self._call(
            "krb5_mk_req",
            byref(self._auth),
            c_int32(MUTUAL if mutual else 0),
            *self._whom,
            None,
            self._cache,
            byref(made),
        )
        return ctypes.string_at(made.data, made.length)

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(self._context, *arguments)
        assert code == 0, f"{name}: {code}"
