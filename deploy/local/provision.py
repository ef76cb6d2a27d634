"""The demo domain and its accounts."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
from postroom.auth.v1 import account_pb2, account_pb2_grpc
from postroom_chassis.rpc.callers import SUFFIX

DOMAIN = "example.test"  # RFC 6761 §6.2: never anybody's
DEMO = ("ann", "bob")
SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Account:
    """Who can sign in. The password is for a developer's own machine: it may be shown."""

    address: str
    password: str


def demo_accounts(file: Path) -> list[Account]:
    """The demo accounts with the passwords that were made for them at the first start."""
    if file.exists():
        return [Account(**account) for account in json.loads(file.read_text())]
    accounts = [Account(f"{name}@{DOMAIN}", secrets.token_hex(6)) for name in DEMO]
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
        json.dump([asdict(account) for account in accounts], out, indent=2)
    return accounts


def provision(auth_address: str, certs: Path, accounts: Sequence[Account]) -> None:
    """Make accounts with their domains; those that are there get their password anew.

    Raises:
        grpc.RpcError: auth refuses, or can't be reached.
    """
    credentials = grpc.ssl_channel_credentials(
        (certs / "ca.pem").read_bytes(),
        (certs / "admin.key").read_bytes(),
        (certs / "admin.pem").read_bytes(),
    )
    target = (("grpc.ssl_target_name_override", f"auth{SUFFIX}"),)
    with grpc.secure_channel(auth_address, credentials, options=target) as channel:
        stub = account_pb2_grpc.AccountServiceStub(channel)
        for domain in {account.address.partition("@")[2] for account in accounts}:
            with _there_already():
                stub.CreateDomain(account_pb2.CreateDomainRequest(name=domain), timeout=SECONDS)
        for account in accounts:
            address, password = account.address, account.password
            with _there_already():
                stub.CreateAccount(
                    account_pb2.CreateAccountRequest(
                        address=address, password=password, accept_weak=True
                    ),
                    timeout=SECONDS,
                )
                continue
            stub.SetPassword(
                account_pb2.SetPasswordRequest(
                    address=address, password=password, accept_weak=True
                ),
                timeout=SECONDS,
            )


@contextmanager
def _there_already() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
            raise
