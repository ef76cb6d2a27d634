"""A message's content: taken, made ready, judged, and delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError

from postroom_smtp.outgoing import Outgoing
from postroom_smtp.ports import Arrival, Judgement, LocalRecipient, Signer
from postroom_smtp.protocol import reply, submission, trace
from postroom_smtp.protocol.command import Chunk, Url
from postroom_smtp.protocol.envelope import Body
from postroom_smtp.protocol.header import values
from postroom_smtp.protocol.path import NULL
from postroom_smtp.protocol.reply import Refused, Reply
from postroom_smtp.reception import Reception, discard
from postroom_smtp.session import Session
from postroom_smtp.settings import Role
from postroom_smtp.spool import Spool
from postroom_smtp.success import Successes
from postroom_smtp.transaction import Transaction

log = logs.logger(__name__)

ACCEPTED = Judgement()


class Receiving:
    """Receives the contents of a session's messages.

    Its methods answer with a reply, or with one for each recipient where the session has it so.
    Whatever ends a message ends its transaction.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._house = session.house
        self._settings = session.house.settings

    async def data(self, transaction: Transaction) -> Sequence[Reply]:
        """DATA: take the content and have it delivered. Ends the transaction."""
        try:
            reception = self._open(transaction)
            await reception.data()
            return await self._settle(transaction, reception)
        finally:
            self._session.abandon()

    async def chunk(self, chunk: Chunk) -> Sequence[Reply]:
        """BDAT: take a piece of the content; the last one has it delivered (RFC 3030)."""
        transaction = self._session.transaction
        if transaction is None or not transaction.accepted:
            await discard(self._session.connection, self._settings, chunk.size)
            return [reply.BAD_SEQUENCE]
        reception = transaction.reception or self._open(transaction)
        await reception.chunk(chunk.size)
        return await self._go_on(transaction, reception, last=chunk.last)

    async def url(self, named: Url) -> Sequence[Reply]:
        """BURL: the same, of a content that a mailbox here has (RFC 4468)."""
        urls = self._house.urls
        transaction, identity = self._session.transaction, self._session.identity
        if transaction is None or not transaction.accepted:
            return [reply.BAD_SEQUENCE]
        if urls is None or identity is None:
            return [reply.NOT_TRUSTED]
        reception = transaction.reception or self._open(transaction)
        try:
            async with (
                asyncio.timeout(self._settings.message_seconds),
                aclosing(urls.fetch(identity, named.url)) as pieces,
            ):
                async for piece in pieces:
                    await reception.piece(piece)
                    if reception.fault is not None:
                        break
        except (PostroomError, TimeoutError) as error:
            self._session.abandon()
            return [
                reply.url_refusal(error) if isinstance(error, PostroomError) else reply.TRY_LATER
            ]
        return await self._go_on(transaction, reception, last=named.last)

    async def _go_on(
        self, transaction: Transaction, reception: Reception, *, last: bool
    ) -> Sequence[Reply]:
        """A piece has come."""
        if last:
            try:
                return await self._settle(transaction, reception)
            finally:
                self._session.abandon()
        if reception.fault is not None:
            transaction.note(reception.fault, reception.size)
            self._session.abandon()
            return [reception.fault]
        return [Reply(250, "2.0.0", f"{reception.size} octets are here")]

    def _open(self, transaction: Transaction) -> Reception:
        """The content begins."""

        async def edit(header: bytes) -> bytes:
            return await self._complete(transaction, header)

        reception = transaction.reception = Reception(
            self._session.connection,
            self._settings,
            binary=transaction.mail.request.body is Body.BINARY,
            edit=edit if self._session.role is Role.SUBMISSION else None,
        )
        return reception

    async def _settle(self, transaction: Transaction, reception: Reception) -> Sequence[Reply]:
        """All of the content has come: have it delivered, or say why not."""
        session, house = self._session, self._house
        await reception.end()
        size, judgement = reception.size, ACCEPTED
        refused = reception.fault or self._refuse_solicitation(reception) or await session.renew()
        if refused is None and house.policy is not None:
            sending = session.sending(transaction.mail)
            judgement = await house.policy.message(sending, reception.spool)
            refused = judgement.refused or await transaction.redirect(judgement)
        if refused is not None:
            return transaction.refuse(refused, size)
        if judgement.quiet or (judgement.dropped and transaction.nobody_left):
            return transaction.lose(size)
        transaction.heed(reception.spool.header)
        try:
            if house.signer is not None and session.role is Role.SUBMISSION:
                judgement = await self._sign(house.signer, reception.spool, judgement)
            outgoing = Outgoing(reception.spool, self._trace_fields(transaction), judgement)
            content = outgoing.inline or await house.store.upload(outgoing.pieces())
        except PostroomError as error:
            return transaction.refuse(reply.refusal(error), size)
        except OSError as error:
            # Of where it lies: each recipient hears of that.
            log.error("smtp.content_unread", message=transaction.message_id, error=str(error))
            return transaction.refuse(reply.TRY_LATER, size)
        replies = await transaction.deliver(
            content,
            size,
            submitter=session.identity.ticket if session.identity else "",
            mailbox=judgement.mailbox,
            copy=self._copy(transaction),
            arrival=Arrival(
                transaction.message_id,
                session.connection.peer.address,
                session.name,
                judgement.verdict,
            ),
        )
        taken = any(answer.positive for answer in replies)
        session.messages += taken
        # Of what nobody may ever look at nothing is told: its sender is seldom who it says.
        if taken and transaction.told and transaction.sender and not judgement.mailbox:
            successes = Successes(house.directory, house.store, house.settings.hostname)
            await successes.tell(transaction, reception.spool.header)
        return replies

    async def _sign(self, signer: Signer, message: Spool, judgement: Judgement) -> Judgement:
        """Sign what our people send, with all that was put to it. Raises PostroomError."""
        signatures = await signer.sign(message, added=judgement.fields, removed=judgement.removed)
        return replace(judgement, fields=signatures + judgement.fields)

    async def _complete(self, transaction: Transaction, header: bytes) -> bytes:
        """A submitted message's header section, completed. Raises Refused."""
        identity, settings = self._session.identity, self._settings
        sender = transaction.mail.sender
        proven = identity is not None and settings.check_author
        author = str(sender) if sender != NULL else identity.address if identity else ""
        try:
            submitted = submission.complete(
                header,
                author=author or f"postmaster@{settings.hostname}",
                message_id=f"{transaction.message_id}@{settings.hostname}",
                now=datetime.now(UTC),
                strict=proven,
            )
        except submission.BadHeader as bad:
            raise Refused(reply.BAD_HEADER) from bad
        if identity is not None:
            transaction.copy_to = submitted.copy_to
            for address in submitted.authors - {str(sender)} if proven else ():
                if refused := await self._session.check_address(identity, address):
                    raise Refused(
                        reply.NOT_YOUR_AUTHOR if refused is reply.NOT_YOUR_ADDRESS else refused
                    )
        return submitted.header

    def _copy(self, transaction: Transaction) -> LocalRecipient | None:
        identity = self._session.identity
        if identity is None or not transaction.copy_to:
            return None
        return LocalRecipient(identity.account_id, identity.address, transaction.copy_to, seen=True)

    def _refuse_solicitation(self, reception: Reception) -> Reply | None:
        """RFC 3865 section 4.2: what a message says itself of what it is."""
        refused = self._settings.refused_solicitations
        if not refused or self._session.role is not Role.MX:
            return None
        said = {
            word.strip().lower()
            for value in values(reception.spool.header, "solicitation")
            for word in value.decode("ascii", "replace").split(",")
        }
        return None if said.isdisjoint(refused) else reply.NOT_SOLICITED

    def _trace_fields(self, transaction: Transaction) -> bytes:
        session = self._session
        tls, recipients = session.connection.tls, transaction.accepted
        arrival = trace.Arrival(
            client_name=session.name,
            client_address=session.connection.peer.address,
            server_name=self._settings.hostname,
            message_id=transaction.message_id,
            received_at=datetime.now(UTC),
            extended=session.extended,
            tls=f"{tls.version} {tls.cipher}".strip() if tls else "",
            authenticated=session.identity is not None,
            smtputf8=transaction.mail.smtputf8,
            # Several are not told of each other (RFC 5321 section 7.6).
            recipient=recipients[0] if len(recipients) == 1 else "",
            priority=transaction.mail.request.priority,
            local=session.role is Role.LMTP,
        )
        fields = trace.received(arrival)
        if transaction.stays_here:
            return trace.return_path(transaction.sender) + fields
        return fields
