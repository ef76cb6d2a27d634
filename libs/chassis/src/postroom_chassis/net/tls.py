"""TLS for clients: a context that takes up new certificates without a restart."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

from postroom_chassis import logs

log = logs.logger(__name__)

CHECK_SECONDS = 5.0


class ServerTls:
    """A server's TLS context, and the certificate files that it follows.

    Loading a chain into a context that is in use changes new handshakes alone (OpenSSL keeps the
    old chain for connections that have it).

    Args:
        certificate: PEM chain.
        key: PEM private key.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._checked = 0.0
        self._seen = self._times()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        # RFC 7525 section 3.3, RFC 9325: no compression; renegotiation serves nobody.
        self._context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        self._context.load_cert_chain(certificate, key)

    @property
    def context(self) -> ssl.SSLContext:
        """The context, with the newest certificate that could be read."""
        now = time.monotonic()
        if now - self._checked > CHECK_SECONDS:
            self._checked = now
            self.reload()
        return self._context

    def reload(self) -> None:
        """Take up the files if they changed; a broken pair is logged and the old one stays."""
        times = self._times()
        if times == self._seen:
            return
        try:
            self._context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            log.error("tls.certificate_unusable", file=str(self._certificate), error=str(error))
            return
        self._seen = times
        log.info("tls.certificate_loaded", file=str(self._certificate))

    def _times(self) -> tuple[int, ...]:
        files = (self._certificate, self._key)
        return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)
