"""The demo domain and its accounts."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from postroom.auth.v1 import account_pb2, account_pb2_grpc
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.client import Channel
from postroom_chassis.settings import Tls

DOMAIN = "example.test"  # RFC 6761 §6.2: never anybody's
DEMO = ("ann", "bob")


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
    """Make accounts with their domains; those that are there get their password anew."""
    asyncio.run(_provision(auth_address, certs, accounts))


async def _provision(auth_address: str, certs: Path, accounts: Sequence[Account]) -> None:
    own = Tls(certificate=certs / "admin.pem", key=certs / "admin.key", authority=certs / "ca.pem")
    channel = Channel(auth_address, "auth", own)
    stub = channel.stub(account_pb2_grpc.AccountServiceStub)
    try:
        for domain in {account.address.partition("@")[2] for account in accounts}:
            try:
                await stub.CreateDomain(account_pb2.CreateDomainRequest(name=domain))
            except PostroomError as error:
                _expect_it_there(error)
        for account in accounts:
            await _make_account(stub, account)
    finally:
        await channel.close()


async def _make_account(stub: account_pb2_grpc.AccountServiceAsyncStub, account: Account) -> None:
    address, password = account.address, account.password
    try:
        await stub.CreateAccount(
            account_pb2.CreateAccountRequest(address=address, password=password)
        )
    except PostroomError as error:
        _expect_it_there(error)
        await stub.SetPassword(account_pb2.SetPasswordRequest(address=address, password=password))


def _expect_it_there(error: PostroomError) -> None:
    if error.kind is not Kind.ALREADY_EXISTS:
        raise error
