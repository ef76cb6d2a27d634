"""A whole Postroom on this machine, to be started, hurt and stopped."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from postroom_chassis.certificates import make_development_certificates

from .child import Child
from .children import OWNERS, haproxy_fits, make_children, settings_of
from .ports import Ports
from .provision import Account, provision

READY_SECONDS = 60.0
STOP_SECONDS = 30.0


class System:
    """Every service as its own process.

    Args:
        state: a folder for certificates, databases, logs; made when it is missing, and what it
            holds is kept.
        ports: where everything listens.
        settings: environment variables for all services, over those that are made here.
        haproxy: whether HAProxy ends implicit TLS; None: where it is installed.
    """

    def __init__(
        self,
        state: Path,
        ports: Ports,
        settings: Mapping[str, str] | None = None,
        *,
        haproxy: bool | None = None,
    ) -> None:
        self.state = state.resolve()
        self.ports = ports
        self._settings = dict(settings or {})
        self._haproxy = haproxy
        self.children: dict[str, Child] = {}

    @property
    def certificates(self) -> Path:
        return self.state / "certs"

    @property
    def authority(self) -> Path:
        """The CA that clients have to trust."""
        return self.certificates / "ca.pem"

    @property
    def admin_environment(self) -> Path:
        """A file with what the `postroom` command needs in its environment."""
        return self.state / "admin.env"

    @property
    def pids(self) -> dict[str, int]:
        return {name: child.pid for name, child in self.children.items()}

    def start(self) -> None:
        """Start every process and wait until all are ready. Raises StartFailed, OSError."""
        self._prepare()
        haproxy = haproxy_fits(self.state, self.ports) if self._haproxy is None else self._haproxy
        self.children = make_children(self.state, self.ports, self._settings, haproxy=haproxy)
        with ExitStack() as undo:
            undo.callback(self.stop)
            for child in self.children.values():
                child.start()
            deadline = time.monotonic() + READY_SECONDS
            for child in self.children.values():
                child.await_ready(deadline)
            undo.pop_all()

    def stop(self) -> None:
        """Drain and end every process: the fronts first, which need the owners to the last."""
        owners = [child for name, child in self.children.items() if name in OWNERS]
        others = [child for name, child in self.children.items() if name not in OWNERS]
        for group in (others, owners):
            for child in group:
                child.ask_to_stop()
            deadline = time.monotonic() + STOP_SECONDS
            for child in group:
                child.await_stop(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> System:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def kill(self, service: str) -> None:
        """End one process as a crash would: with SIGKILL."""
        self.children[service].kill()

    def restart(self, service: str) -> None:
        """Start a process that has ended, and wait until it is ready. Raises StartFailed."""
        child = self.children[service]
        child.start()
        child.await_ready(time.monotonic() + READY_SECONDS)

    def provision(self, accounts: Sequence[Account]) -> None:
        """Make accounts, and their domains where they are missing."""
        provision(self.ports.address("auth-rpc"), self.certificates, accounts)

    def log(self, service: str) -> str:
        """All that a process has logged."""
        return self.children[service].log.read_text(encoding="utf-8", errors="replace")

    def _prepare(self) -> None:
        for folder in (self.state, self.state / "logs", self.state / "blobs"):
            folder.mkdir(parents=True, exist_ok=True)
        make_development_certificates(self.certificates)
        shown = self.certificates / "haproxy"
        shown.mkdir(exist_ok=True)
        for name, target in (("tls.crt", "tls.pem"), ("tls.key", "tls.key")):
            if not (shown / name).is_symlink():
                (shown / name).symlink_to(Path("..", target))
        (self.state / "api-tokens").touch(0o600)
        settings = settings_of("admin", self.state, self.ports, haproxy=False)
        self.admin_environment.write_text(
            "".join(f"{name}={value}\n" for name, value in settings.items())
        )
