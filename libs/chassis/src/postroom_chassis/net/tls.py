"""TLS for clients: a context that takes up new certificates without a restart."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path

from postroom_chassis import logs
from postroom_chassis.followed_files import FollowedFiles
from postroom_chassis.net.end_point import end_point_of

log = logs.logger(__name__)

# RFC 9325 section 4.2, and Mozilla's "intermediate" (5.7) but for DHE, whose parameters nobody set.
CIPHERS = ":".join(
    f"ECDHE-{signature}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for signature in ("ECDSA", "RSA")
)


class ServerTls:
    """A server's TLS context, and the certificate files that it follows.

    Curves are OpenSSL's own choice: Python can't name several of them. OPENSSL_CONF can, by
    deploy/tls/openssl.cnf.

    Loading a chain into a context that is in use changes new handshakes alone (OpenSSL keeps the
    old chain for connections that have it).

    Attributes:
        end_point: the hash of the certificate by which channels are bound to it (RFC 5929 section
            4); empty where that is not defined.
        renewed: another certificate was shown before.

    Args:
        certificate: PEM chain.
        key: PEM private key.
        client_authority: PEM: who signs the certificates that clients may show; None: they are
            asked for none. Read once.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        client_authority: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._followed = FollowedFiles((certificate, key), clock)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.set_ciphers(CIPHERS)
        # RFC 7525 section 3.3, RFC 9325: no compression; renegotiation serves nobody.
        self._context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        self._context.load_cert_chain(certificate, key)
        if client_authority is not None:
            self._context.load_verify_locations(client_authority)
            self._context.verify_mode = ssl.CERT_OPTIONAL
        self.end_point = self._read_end_point()
        self.renewed = False

    @property
    def context(self) -> ssl.SSLContext:
        """The context, with the newest certificate that could be read."""
        if self._followed.due:
            self.reload()
        return self._context

    def reload(self) -> None:
        """Take up the files if they changed; a broken pair is logged and the old one stays."""
        times = self._followed.changed
        if times is None:
            return
        try:
            # On trial: a key of another certificate would leave a context in use with neither.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key)
            self._context.load_cert_chain(self._certificate, self._key)
        except (OSError, ssl.SSLError) as error:
            log.error("tls.certificate_unusable", file=str(self._certificate), error=str(error))
            return
        self.end_point = self._read_end_point()
        self.renewed = True
        self._followed.taken(times)
        log.info("tls.certificate_loaded", file=str(self._certificate))

    def _read_end_point(self) -> bytes:
        try:
            return end_point_of(self._certificate.read_bytes())
        except (OSError, ValueError) as error:
            # OpenSSL reads more forms than we: TLS works, and channels are not bound to it.
            log.warning("tls.no_end_point", file=str(self._certificate), error=str(error))
            return b""


class ProxyCertificate:
    """The certificate that a proxy shows to clients, whose file is followed.

    Args:
        file: PEM; the certificate of the proxy itself comes first, and keys are not read.
        clock: seconds, monotonic.

    Raises:
        OSError: there is no certificate to be read.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._followed = FollowedFiles((file,), clock)
        try:
            self._end_point = end_point_of(file.read_bytes())
        except ValueError as error:
            raise OSError(f"{file} holds no certificate") from error

    @property
    def end_point(self) -> bytes:
        """Its hash by which channels are bound to it (RFC 5929 section 4); empty where that is
        not defined.
        """
        if self._followed.due:
            self.reload()
        return self._end_point

    def reload(self) -> None:
        """Take up the file if it changed; one that can't be read leaves what was."""
        times = self._followed.changed
        if times is None:
            return
        try:
            self._end_point = end_point_of(self._file.read_bytes())
        except (OSError, ValueError) as error:
            log.error("proxy.certificate_unusable", file=str(self._file), error=str(error))
            return
        self._followed.taken(times)
        log.info("proxy.certificate_loaded", file=str(self._file))
