"""Sign in, open INBOX and list what is in it, over Postroom's gRPC API.

Usage: python docs/examples/read_inbox.py STATE ADDRESS PASSWORD
where STATE is the folder of a running `make run` (.run).
"""

from __future__ import annotations

import sys
from pathlib import Path

import grpc
from postroom.auth.v1 import authentication_pb2 as auth
from postroom.auth.v1 import authentication_pb2_grpc
from postroom.store.v1 import message_pb2 as store
from postroom.store.v1 import message_pb2_grpc


def channel(state: Path, service: str, address: str) -> grpc.Channel:
    """A channel to an owner, as the imap front would have it."""
    certs = state / "certs"
    credentials = grpc.ssl_channel_credentials(
        root_certificates=(certs / "ca.pem").read_bytes(),
        private_key=(certs / "imap.key").read_bytes(),
        certificate_chain=(certs / "imap.pem").read_bytes(),
    )
    options = [("grpc.ssl_target_name_override", f"{service}.postroom")]
    return grpc.secure_channel(address, credentials, options)


def sign_in(state: Path, address: str, name: str, password: str) -> str:
    """A ticket, by SASL PLAIN (RFC 4616)."""
    start = auth.AuthenticateRequest.Start(
        mechanism="PLAIN",
        initial_response=f"\0{name}\0{password}".encode(),
        client=auth.Client(protocol="imap", address="127.0.0.1", secure=True),
    )
    with channel(state, "auth", address) as connection:
        stub = authentication_pb2_grpc.AuthenticationServiceStub(connection)
        for answer in stub.Authenticate(iter([auth.AuthenticateRequest(start=start)])):
            return str(answer.success.ticket.token)
    raise SystemExit("no answer")


def list_inbox(state: Path, address: str, ticket: str) -> None:
    """Print the UID, size and preview of every message."""
    metadata = (("postroom-ticket", ticket),)
    with channel(state, "store", address) as connection:
        stub = message_pb2_grpc.MessageServiceStub(connection)
        opened = next(iter(stub.Open(store.OpenRequest(name="INBOX"), metadata=metadata)))
        mailbox = opened.mailbox
        print(f"{mailbox.messages} messages, UID validity {mailbox.uid_validity}")
        if not mailbox.messages:
            return
        request = store.FetchRequest(
            mailbox_id=mailbox.mailbox_id,
            uids=[store.UidRange(first=1, last=mailbox.uid_next - 1)],
            columns=[store.COLUMN_SIZE, store.COLUMN_PREVIEW],
        )
        for batch in stub.Fetch(request, metadata=metadata):
            for uid, size, preview in zip(batch.uids, batch.sizes, batch.previews, strict=True):
                print(f"{uid:6} {size:8}  {preview.decode()}")


def main() -> None:
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    state = Path(sys.argv[1])
    addresses = dict(
        line.partition("=")[::2] for line in (state / "admin.env").read_text().splitlines()
    )
    try:
        ticket = sign_in(state, addresses["POSTROOM_ADMIN_AUTH_ADDRESS"], *sys.argv[2:])
        list_inbox(state, addresses["POSTROOM_ADMIN_STORE_ADDRESS"], ticket)
    except grpc.RpcError as error:
        raise SystemExit(f"{error.code().name}: {error.details()}") from None


if __name__ == "__main__":
    main()
