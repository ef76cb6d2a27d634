"""Run Postroom on this machine until Ctrl-C: what `make run` does.

Mail, certificates and logs are kept in the state folder, so that the next start goes on with them.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

from . import ports
from .child import StartFailed
from .provision import Account, demo_accounts
from .supervision import Supervision
from .system import System


def main() -> int:
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        chosen = ports.free() if arguments.ports == "free" else ports.fixed(arguments.port_base)
        system = System(
            arguments.state,
            chosen,
            {"POSTROOM_SMTP_SEND": "true"} if arguments.send else None,
            haproxy=False if arguments.no_haproxy else None,
        )
        live(system, as_json=arguments.json)
    except (ports.PortTaken, StartFailed) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"Can't use {error.filename or arguments.state}: {error.strerror or error}")
    except KeyboardInterrupt:
        pass
    return 0


def live(system: System, *, as_json: bool) -> None:
    """Start, tell what there is, and keep it alive until KeyboardInterrupt."""
    tell("Starting Postroom ...")
    try:
        system.start()
        accounts = demo_accounts(system.state / "accounts.json")
        system.provision(accounts)
        print(summary(system, accounts) if as_json else welcome(system, accounts), flush=True)
        Supervision(system.children.values(), tell).run()
    finally:
        # A second Ctrl-C must not leave processes behind.
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, signal.SIG_IGN)
        if system.children:
            tell("Stopping Postroom ...")
            system.stop()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.run", description=__doc__)
    parser.add_argument(
        "--state", type=Path, default=Path(".run"), help="folder for all that is kept (.run)"
    )
    parser.add_argument(
        "--port-base",
        type=int,
        default=int(os.environ.get("POSTROOM_PORT_BASE", ports.DEFAULT_BASE)),
        help="IMAP is at BASE + 143, and so on (%(default)s; or POSTROOM_PORT_BASE)",
    )
    parser.add_argument("--ports", choices=("fixed", "free"), default="fixed")
    parser.add_argument(
        "--no-haproxy", action="store_true", help="let the fronts end implicit TLS themselves"
    )
    parser.add_argument(
        "--send",
        action="store_true",
        help="send mail to other domains, too; without it such mail waits in the queue",
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON when all is ready")
    return parser.parse_args()


def summary(system: System, accounts: list[Account]) -> str:
    """What programs need to know, as one line of JSON."""
    return json.dumps(
        {
            "ports": dict(system.ports.public),
            "accounts": [asdict(account) for account in accounts],
            "pids": system.pids,
            "ca": str(system.authority),
            "state": str(system.state),
            "admin_env": str(system.admin_environment),
        }
    )


def welcome(system: System, accounts: list[Account]) -> str:
    """What people need to know."""
    at = system.ports.public
    ann, bob = accounts
    ca = shown(system.authority)
    tls_by = "HAProxy" if "haproxy" in system.children else "the services themselves"
    header = f"From: <{ann.address}>\\r\\nTo: <{bob.address}>\\r\\nSubject: Hello\\r\\n"
    return f"""
Postroom is ready on localhost (implicit TLS ends in {tls_by}):

  SMTP        {at["smtp"]}   from other servers     submission  {at["submission"]}   with TLS {at["submissions"]}
  IMAP        {at["imap"]}   with TLS {at["imaps"]}          POP3        {at["pop3"]}   with TLS {at["pop3s"]}
  REST API    {at["admin"]}   with TLS {at["https"]}          http://localhost:{at["admin"]}/docs

  accounts    {ann.address}  password {ann.password}
              {bob.address}  password {bob.password}

Send a message, read it by IMAP, and by POP3 (paste into another terminal, here):

printf '{header}\\r\\nHello!\\r\\n' | curl -sS --ssl-reqd --cacert {ca} --user {ann.address}:{ann.password} \
--mail-from {ann.address} --mail-rcpt {bob.address} --upload-file - smtp://localhost:{at["submission"]}
curl -sS --cacert {ca} --user {bob.address}:{bob.password} \
'imaps://localhost:{at["imaps"]}/INBOX;MAILINDEX=1'
curl -sS --ssl-reqd --cacert {ca} --user {bob.address}:{bob.password} pop3://localhost:{at["pop3"]}/1

Administer it by {shown(Path(sys.executable).with_name("postroom"))} --env {shown(system.admin_environment)} --help
Logs are in {shown(system.state / "logs")}. Ctrl-C stops it all; the mail stays.
"""  # noqa: E501 (lines to be pasted)


def shown(path: Path) -> str:
    """A path as it is shortest from here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def tell(text: str) -> None:
    """Tell people something, beside what programs read."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _fail(text: str) -> int:
    tell(text)
    return 1


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
