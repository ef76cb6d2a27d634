"""How safe a connection to a server must be: by setting, DANE (RFC 7672), MTA-STS (RFC 8461), or
as safe as the server can (RFC 7435); and more where a message asks for it (RFC 8689).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from pathlib import Path

from postroom_chassis import logs

from postroom_smtp.dns import Association, Resolver
from postroom_smtp.protocol import mta_sts
from postroom_smtp.protocol.client import ascii_domain
from postroom_smtp.protocol.response import Response, made_here
from postroom_smtp.sending import dane
from postroom_smtp.sending.hosts import Host, Place
from postroom_smtp.sending.routes import Level, Route
from postroom_smtp.sending.sts import Found

log = logs.logger(__name__)


class Ineligible(Exception):
    """A server must not be used. `response` says why, and whether that is for good."""

    def __init__(self, response: Response) -> None:
        super().__init__(str(response))
        self.response = response


@dataclass(frozen=True, slots=True)
class Security:
    """What TLS must be like.

    Attributes:
        label: where that comes from.
        name: the server's, for SNI and in the certificate.
        associations: records one of which must hold (RFC 7672).
        names: which a certificate under a trust anchor may bear.
    """

    level: Level
    label: str
    name: str
    associations: tuple[Association, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def demanded(self) -> bool:
        """Nothing is said in clear text."""
        return self.level in (Level.ENCRYPT, Level.VERIFY)


class Safety:
    """Decides it.

    Args:
        authorities: PEM: who signs servers' certificates; None: whom the system trusts.
    """

    def __init__(self, resolver: Resolver, authorities: Path | None) -> None:
        self._resolver = resolver
        self._anybody = client_context()
        self._verified = verifying_context(authorities)

    def context(self, security: Security) -> ssl.SSLContext:
        return self._verified if security.level is Level.VERIFY else self._anybody

    async def of(
        self,
        domain: str,
        route: Route,
        host: Host,
        place: Place,
        found: Found,
        *,
        demanded: bool,
        waived: bool = False,
    ) -> Security:
        """What a connection to a server must be like.

        Args:
            demanded: a message asks for REQUIRETLS.
            waived: it says TLS-Required: No (RFC 8689 section 5): what domains publish doesn't
                hold, what a setting says does.

        Raises Ineligible, DnsFailure.
        """
        if route.level is not None:
            security = Security(route.level, route.level, host.name)
        elif waived:
            security = Security(Level.MAY, "waived", host.name)
        else:
            security = await self._published(domain, host, place, found.policy, route.port)
        if not demanded or security.level is Level.VERIFY or security.associations:
            return security
        # RFC 8689 section 4.2.1: the server's name must be one that nobody can have made up.
        if host.secure and security.level is not Level.NONE:
            return replace(security, level=Level.VERIFY, label="requiretls")
        reply = "neither DNSSEC nor MTA-STS says which server is safe"
        if not found.certain:
            raise Ineligible(made_here(451, "4.7.10", f"{reply} now"))
        raise Ineligible(made_here(550, "5.7.10", reply))

    async def _published(
        self, domain: str, host: Host, place: Place, policy: mta_sts.Policy | None, port: int
    ) -> Security:
        if host.secure and place.secure:
            found = await self._dane(domain, host, place, port)
            if found is not None:
                return found
        if policy is None or policy.mode is mta_sts.Mode.NONE:
            return Security(Level.MAY, "opportunistic", host.name)
        allowed = policy.allows(host.name)
        if policy.mode is mta_sts.Mode.ENFORCE:
            if not allowed:
                reply = f"{host.name} is none of the servers that MTA-STS allows"
                raise Ineligible(made_here(451, "4.7.5", reply))
            return Security(Level.VERIFY, "mta-sts", host.name)
        if not allowed:
            log.warning("smtp.sts_testing", host=host.name, error="not allowed")
        return Security(Level.MAY, "opportunistic", host.name)

    async def _dane(self, domain: str, host: Host, place: Place, port: int) -> Security | None:
        """RFC 7672 section 2.2: at the name to which aliases lead, and then at the first one."""
        for base in dict.fromkeys((place.name, host.name)):
            found = await self._resolver.associations(base, port)
            if not found.secure or not found.records:
                continue
            names = tuple(dict.fromkeys((base, host.name, ascii_domain(domain) or domain)))
            usable = dane.usable(found.records)
            # Records that can't be used still say that there is TLS (RFC 7672 section 2.2).
            label = "dane" if usable else "dane-unusable"
            return Security(Level.ENCRYPT, label, base, usable, names)
        return None


def client_context() -> ssl.SSLContext:
    """TLS with whoever is there: better than none (RFC 7435)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def verifying_context(authorities: Path | None) -> ssl.SSLContext:
    """TLS with who can show a certificate for the name that it is asked for."""
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
