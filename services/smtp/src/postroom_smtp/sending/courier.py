"""One batch on its way: connections, transactions, and what becomes of each entry.

An entry is settled as soon as its fate is known, while the next message is on its way already. What
isn't known isn't settled: it comes back when the lease ends, so that a message gets there at least
once, and twice only where nobody said what became of it after its end had been sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from prometheus_client import Counter, Histogram

from postroom_smtp.protocol.bounce import EVERYWHERE, SLOW_DOWN, classify
from postroom_smtp.protocol.client import sendable
from postroom_smtp.protocol.dsn import MOST_RETURNED, Action
from postroom_smtp.protocol.envelope import Return
from postroom_smtp.protocol.response import Response, made_here
from postroom_smtp.sending.connector import Connector, Times, Unreached, Way
from postroom_smtp.sending.content import Content
from postroom_smtp.sending.converting import Converter
from postroom_smtp.sending.home import Home
from postroom_smtp.sending.link import Link
from postroom_smtp.sending.notices import News, Notices
from postroom_smtp.sending.pace import MOST_WAIT, Pace
from postroom_smtp.sending.passage import Lease, LeaseLost, Passage, Word
from postroom_smtp.sending.pool import Pool
from postroom_smtp.sending.ports import (
    Attempt,
    Batch,
    Destination,
    Entry,
    Fate,
    Outcome,
    Queue,
    Settlement,
)
from postroom_smtp.sending.routes import ANYWHERE, Route, Source, by_domain
from postroom_smtp.sending.schedule import Schedule

log = logs.logger(__name__)

ATTEMPTS = Counter("postroom_smtp_attempts_total", "Attempts to send by outcome", ["outcome"])
REFUSALS = Counter("postroom_smtp_refusals_total", "Attempts that failed by reason", ["reason"])
SECONDS = Histogram(
    "postroom_smtp_attempt_seconds",
    "From MAIL to the last reply",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300),
)

MOST_RECIPIENTS = 100  # of a transaction; every server takes as many (RFC 5321 section 4.5.3.1.8)
MOST_LOSSES = 2  # connections in a row that bring nothing
SETTLING = 2  # transactions of a batch whose outcome is on its way to the store
PAUSE = 0.5  # seconds after which a store that took no outcomes is told them again
MOST_PAUSE = 15.0
MOST_TELLING = 3600.0  # for which it is; others have the entries by then


@dataclass(frozen=True, slots=True)
class Map:
    """Where mail goes: tables by domain."""

    routes: dict[str, Route]
    usual: Route
    sources: dict[str, Source]

    def way(self, domain: str, entry: Entry) -> Way:
        sender = entry.reverse_path.rpartition("@")[2]
        return Way(
            domain,
            by_domain(self.routes, domain) or self.usual,
            by_domain(self.sources, sender) or ANYWHERE,
            entry.message.request.require_tls,
            entry.message.request.tls_optional,
        )


class Courier:
    """Sends batches.

    Args:
        host_connections: that a host of a route may have from here.
        clock: Unix seconds.

    Attributes:
        draining: no message is begun any more.
        leaving: the time to drain is over as well.
        connecting: batches that wait for a connection.
        news: set when one of them begins to wait.
    """

    def __init__(
        self,
        queue: Queue,
        connector: Connector,
        pool: Pool,
        notices: Notices,
        schedule: Schedule,
        pace: Pace,
        map_: Map,
        times: Times,
        home: Home,
        converter: Converter,
        *,
        host_connections: int = 20,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.queue = queue
        self.connector = connector
        self.pool = pool
        self.notices = notices
        self.schedule = schedule
        self.pace = pace
        self.map = map_
        self.times = times
        self.home = home
        self.converter = converter
        self.clock = clock
        self.draining = False
        self.leaving = asyncio.Event()
        self.connecting = 0
        self.news = asyncio.Event()
        self._hosts = {
            route.host: asyncio.Semaphore(host_connections)
            for route in (*map_.routes.values(), map_.usual)
            if route.host
        }

    async def send(self, batch: Batch, lease: Lease) -> None:
        """Send what can be sent of a batch, and end its lease.

        Raises nothing but CancelledError: what goes wrong here leaves entries as they were.
        """
        errand = _Errand(self, batch, lease)
        try:
            await errand.run()
        except LeaseLost:
            log.warning("smtp.lease_lost", domain=batch.domain)
        except Exception as error:
            # Whatever it is, it would come again at once.
            log.exception("smtp.sending_broke", domain=batch.domain)
            await errand.break_off(error)
        finally:
            await errand.end()

    async def connect(self, way: Way, passed: Link | None = None) -> Link:
        """A new connection, to another server than one that is given. Raises Unreached."""
        with self._waiting():
            return await self.connector.connect(way, passed)

    @asynccontextmanager
    async def room(self, route: Route) -> AsyncIterator[None]:
        """Held while a connection to a route's host is in use."""
        host = self._hosts.get(route.host)
        if host is None:
            yield
            return
        with self._waiting():
            await host.acquire()
        try:
            yield
        finally:
            host.release()

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        self.connecting += 1
        self.news.set()
        try:
            yield
        finally:
            self.connecting -= 1


class _Errand:
    """One batch."""

    def __init__(self, courier: Courier, batch: Batch, lease: Lease) -> None:
        self._courier = courier
        self._batch = batch
        self._lease = lease
        self._settling: set[asyncio.Task[None]] = set()
        self._fates: dict[int, Fate] = {}  # that the store doesn't know yet
        self._destination: Destination | None = None
        self._reached = False
        self._broken = ""
        self._heard: set[int] = set()  # entries of which something was said
        self._stranded: list[Word] = []
        self._passed_on = False  # other servers put things off as well

    async def run(self) -> None:
        ways: dict[Way, list[Entry]] = {}
        hopeless: list[Word] = []
        for entry in self._batch.entries:
            if (response := self._hopeless(entry)) is not None:
                hopeless.append(Word(entry, response, tried=False))
            # Others are elsewhere, or they wouldn't have been queued.
            elif not entry.message.request.hold_until or not await self._is_home(entry):
                way = self._courier.map.way(self._batch.domain, entry)
                ways.setdefault(way, []).append(entry)
        if hopeless:
            await self._settle(hopeless)
        for way, entries in ways.items():
            async with self._courier.room(way.route):
                await self._go(way, entries)
        await self._leave()

    async def break_off(self, error: Exception) -> None:
        """Something is wrong here: put off what nothing is known of, as if a server had said so.
        What is too old fails then, and who waits for it is told.
        """
        self._broken = type(error).__name__
        left = [entry for entry in self._batch.entries if entry.queue_id not in self._heard]
        await self._settle([Word(entry, _broke(error)) for entry in left])

    async def end(self) -> None:
        """Settle what is known, and end the lease. Never leaves anything running."""
        ending = asyncio.create_task(self._end())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.gather(ending, return_exceptions=True)
            raise

    async def _end(self) -> None:
        await asyncio.gather(*self._settling, return_exceptions=True)
        if self._broken and self._reached:
            self._destination = Destination(True)
        elif self._broken:
            retry_at = self._courier.schedule.next_look(self._courier.clock(), self._batch.failures)
            reply = f"something went wrong here: {self._broken}"
            self._destination = Destination(False, retry_at, reply)
        # Never without what isn't told yet: that would be sent again.
        known = tuple(self._fates.values())
        if not await self._say(Settlement(self._lease.id, known, True, self._destination)):
            # It ends by itself.
            log.warning("smtp.lease_not_ended", domain=self._batch.domain)

    def _hopeless(self, entry: Entry) -> Response | None:
        """Why an entry isn't tried at all."""
        asked = entry.message.request
        if entry.suppressed:
            return made_here(550, "5.7.1", "nothing is sent to this address from here")
        if not sendable(entry.recipient.address) or not sendable(entry.reverse_path):
            return made_here(553, "5.1.3", "no address can be like this")
        if asked.deliver_by and asked.by_returns and self._courier.clock() >= asked.deliver_by:
            return made_here(550, "5.4.7", "it couldn't be delivered in the time that it had")
        return None

    async def _is_home(self, entry: Entry) -> bool:
        """Whether an entry is for people here; it is delivered then, or will be later."""
        self._lease.check()
        try:
            response = await self._courier.home.deliver(self._lease.id, entry)
        except PostroomError as error:
            if error.kind is Kind.CONFLICT:
                raise LeaseLost from error
            response = made_here(451, "4.3.0", "it can't be delivered here now")
        if response is None:
            return False
        await self._settle([Word(entry, response, final=response.positive)])
        return True

    async def _go(self, way: Way, entries: Sequence[Entry]) -> None:
        """Send entries that go one way, over one connection at a time."""
        waiting = deque(_transactions(entries))
        losses = 0
        while waiting and not self._courier.draining:
            self._lease.check()
            link = self._courier.pool.take(way)
            used = link is not None
            try:
                link = link or await self._courier.connect(way)
            except Unreached as failure:
                return await self._unreached(way, waiting, failure)
            brought, self._reached = False, True
            try:
                while waiting and self._may_go_on(link):
                    brought = await self._transact(way, link, waiting, used=used) or brought
                    used = False
            finally:
                self._courier.pool.give(way, link)
            losses = 0 if brought else losses + 1
            if waiting and losses >= MOST_LOSSES:
                self._reached = False
                reply = made_here(451, "4.4.2", "connections bring nothing")
                return await self._unreached(way, waiting, Unreached(reply, link.host))

    def _may_go_on(self, link: Link) -> bool:
        return self._courier.pool.may_go_on(link) and not self._courier.draining

    async def _transact(
        self, way: Way, link: Link, waiting: deque[list[Entry]], *, used: bool
    ) -> bool:
        """One message. Answers whether anything came of the connection.

        Args:
            used: the connection has waited since its last message, and may be gone by now.
        """
        courier = self._courier
        if (delay := courier.pace.delay(way.domain)) > MOST_WAIT:
            await self._wait_turns(way, waiting)
            return True
        if delay:
            await asyncio.sleep(delay)
            self._lease.check()
        most = link.conversation.offer.limit("RCPTMAX") or MOST_RECIPIENTS
        entries = waiting.popleft()
        if len(entries) > most:
            waiting.appendleft(entries[most:])
            entries = entries[:most]
        began = time.monotonic()
        words, ended = await self._pass(link, entries)
        nothing = all(word.response.temporary for word in words)
        if used and nothing and link.conversation.over and not ended:
            waiting.appendleft(entries)
            return True
        if not self._passed_on and all(map(_is_put_off, words)):
            words = await self._pass_on(way, link, entries) or words
            nothing = all(word.response.temporary for word in words)
        seconds = time.monotonic() - began
        SECONDS.observe(seconds)
        self._learn(way.domain, words)
        again, words = _overflow(words)
        if again:
            waiting.appendleft(again)
        await self._settle(words, seconds)
        return not nothing

    async def _pass(self, link: Link, entries: Sequence[Entry]) -> tuple[list[Word], bool]:
        """What was said of a message, and whether its end was sent."""
        courier, content = self._courier, self._content(entries[0])
        passage = Passage(
            self._lease, link, content, courier.converter, courier.times, courier.clock
        )
        try:
            words = await passage.send(entries)
        except PostroomError as error:
            link.abort()
            if error.kind is Kind.CONFLICT:
                raise LeaseLost from error
            reply = made_here(451, "4.3.0", "the message can't be read now")
            words = [Word(entry, reply) for entry in entries]
        except BaseException:
            # The message may be half there: without its end it isn't taken.
            link.abort()
            raise
        return words, passage.ended

    async def _pass_on(self, way: Way, link: Link, entries: Sequence[Entry]) -> list[Word] | None:
        """Give what a server put off to another one of the domain's (RFC 5321 section 5.1), once in
        a batch. Answers what was said there; None: there is no other that is ready.
        """
        self._passed_on = True
        if not await self._courier.connector.others(way, link):
            return None
        link.close()  # a destination is to have no more of them than there are batches
        try:
            other = await self._courier.connect(way, link)
        except Unreached:
            return None
        try:
            words, _ = await self._pass(other, entries)
        finally:
            other.close()
        # What got there needn't wait for the first one; the others of the batch may go either way.
        self._passed_on = all(word.response.temporary for word in words)
        return words

    async def _wait_turns(self, way: Way, waiting: deque[list[Entry]]) -> None:
        """Put back what goes beyond a domain's rate, until its turn comes."""
        entries = [entry for entries in waiting for entry in entries]
        waiting.clear()
        reply = made_here(451, "4.7.0", "the rate for this domain is reached")
        now = self._courier.clock()
        await self._settle(
            [
                Word(entry, reply, tried=False, again_at=int(now + turn) + 1)
                for entry, turn in zip(
                    entries, self._courier.pace.turns(way.domain, len(entries)), strict=True
                )
            ]
        )

    def _learn(self, domain: str, words: Iterable[Word]) -> None:
        for word in words:
            if word.response.positive:
                self._courier.pace.took(domain)
            elif classify(word.response) in SLOW_DOWN:
                return self._courier.pace.too_much(domain)
        return None

    async def _unreached(
        self, way: Way, waiting: Iterable[list[Entry]], failure: Unreached
    ) -> None:
        """Nobody takes mail for the domain now, or ever."""
        entries = [entry for entries in waiting for entry in entries]
        response = failure.response
        log.info(
            "smtp.destination_unreached",
            domain=way.domain,
            reply=str(response),
            entries=len(entries),
            failures=self._batch.failures,
        )
        if classify(response) in SLOW_DOWN:
            self._courier.pace.too_much(way.domain)
        if response.permanent or way.demanded:
            # Of REQUIRETLS alone: others may get there.
            return await self._settle([Word(each, response, failure.host) for each in entries])
        self._stranded += [Word(each, response, failure.host, tried=False) for each in entries]
        return None

    async def _leave(self) -> None:
        """Say what is known of the destination, and what becomes of those who didn't get there."""
        if self._reached:
            self._destination = Destination(True)
            # Others got there: it is something about these.
            return await self._settle([replace(word, tried=True) for word in self._stranded])
        if not self._stranded:
            return None
        told = [word for word in self._stranded if self._told_now(word.entry)]
        now = self._courier.clock()
        retry_at = self._courier.schedule.next_look(now, self._batch.failures)
        if len(told) == len(self._batch.entries) and all(self._over(one.entry) for one in told):
            # There may be more that is as old, and to be told of at once.
            retry_at = int(now) + 1
        elif told:
            # There may be more, of which it is time to tell as well.
            retry_at = min(retry_at, self._courier.schedule.soon(now))
        self._destination = Destination(False, retry_at, str(self._stranded[0].response))
        return await self._settle(told)

    # What becomes of entries.

    async def _settle(self, words: Sequence[Word], seconds: float = 0.0) -> None:
        """Say what became of entries, while what follows goes on."""
        if not words:
            return
        self._heard.update(word.entry.queue_id for word in words)
        while len(self._settling) >= SETTLING:
            await asyncio.wait(self._settling, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._conclude(words, seconds))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _conclude(self, words: Sequence[Word], seconds: float) -> None:
        try:
            await self._settle_now(words, seconds)
        except Exception as error:
            log.exception("smtp.settling_broke", domain=self._batch.domain)
            self._broken = type(error).__name__
            self._reached = False  # whatever it is, it would come again at once

    async def _settle_now(self, words: Sequence[Word], seconds: float) -> None:
        fates = []
        for word in words:
            try:
                fate = await self._fate(word)
            except Exception as error:
                # The others' are known all the same.
                log.exception("smtp.settling_broke", queue_id=word.entry.queue_id)
                fate = self._spared(word, error)
            fates.append(fate)
            self._fates[fate.queue_id] = fate
            if not fate.untried:
                self._note(word, fate, seconds)
        if fates:
            await self._say(Settlement(self._lease.id, tuple(fates)))

    async def _say(self, settlement: Settlement) -> bool:
        """Tell the store what is known, as long as there is time, and also when the lease is over:
        what nobody has leased since is settled still. Answers whether that was done.
        """
        courier, pause = self._courier, PAUSE
        until = time.monotonic() + MOST_TELLING
        while True:
            last = courier.leaving.is_set() or time.monotonic() > until
            try:
                lost = await courier.queue.settle(settlement)
            except PostroomError as error:
                entries, domain = len(settlement.fates), self._batch.domain
                log.warning("smtp.unsettled", domain=domain, entries=entries, error=str(error))
            else:
                break
            if last:
                return False
            try:
                async with asyncio.timeout(pause):
                    await courier.leaving.wait()
            except TimeoutError:
                pause = min(pause * 2, MOST_PAUSE)
        for fate in settlement.fates:
            self._fates.pop(fate.queue_id, None)
        if lost:
            log.warning("smtp.settled_too_late", domain=self._batch.domain, entries=len(lost))
        return True

    async def _fate(self, word: Word) -> Fate:
        """What becomes of an entry, once its sender has been told."""
        entry, response = word.entry, word.response
        if response.positive:
            return await self._taken(word)
        if response.permanent or self._over(entry):
            return await self._failed(word)
        told = self._to_be_told(entry)
        if told:
            news = News(
                Action.DELAYED,
                f"4{response.status[1:]}",
                response,
                word.speaker,
                self._expires_at(entry),
            )
            told = await self._tell(entry, news, whole=False)
        return self._deferred(word, told=entry.delay_told or told)

    def _spared(self, word: Word, error: Exception) -> Fate:
        """The fate of an entry with which something went wrong here after the server had spoken."""
        if word.response.positive:
            return Fate(word.entry.queue_id, self._attempt(word, Outcome.RELAYED))
        word = replace(word, response=_broke(error), said=False)
        return self._deferred(word, told=word.entry.delay_told)

    def _deferred(self, word: Word, *, told: bool) -> Fate:
        entry = word.entry
        again = word.again_at or self._courier.schedule.next_attempt(
            self._courier.clock(), entry.attempts, self._expires_at(entry)
        )
        attempt = self._attempt(word, Outcome.DEFERRED)
        return Fate(entry.queue_id, attempt, again, told, untried=not word.tried)

    async def _taken(self, word: Word) -> Fate:
        known = word.promised or word.final
        outcome = Outcome.DELIVERED if known else Outcome.RELAYED
        action = Action.DELIVERED if word.final else Action.RELAYED
        if not word.promised:
            # RFC 3461 section 5.2.2: nobody after us says anything. What is there isn't sent
            # again for want of a notice.
            news = News(action, "2.0.0", word.response, word.speaker)
            await self._tell(word.entry, news, whole=False)
        return Fate(word.entry.queue_id, self._attempt(word, outcome))

    async def _failed(self, word: Word) -> Fate:
        entry, response = word.entry, word.response
        status = response.status if response.permanent else "5.4.7"
        news = News(Action.FAILED, status, response, word.speaker)
        if self._courier.notices.wanted(entry, Action.FAILED):
            whole = entry.message.request.ret is not Return.HEADERS
            told = await self._tell(entry, news, whole=whole)
            if not told and self._courier.clock() < self._given_up_at(entry):
                # It stays until its sender can be told.
                return self._deferred(word, told=entry.delay_told)
        return Fate(entry.queue_id, self._attempt(word, Outcome.FAILED))

    async def _tell(self, entry: Entry, news: News, *, whole: bool) -> bool:
        """Deliver a notice, where one is wanted. Answers whether that was done."""
        if not self._courier.notices.wanted(entry, news.action):
            return False
        try:
            header, content = await self._returned(entry, whole)
            await self._courier.notices.tell(entry, replace(news, header=header, content=content))
        except PostroomError as error:
            log.error("smtp.notice_failed", queue_id=entry.queue_id, error=str(error))
            return False
        except Exception as error:
            log.exception("smtp.notice_failed", queue_id=entry.queue_id, error=repr(error))
            return False
        return True

    async def _returned(self, entry: Entry, whole: bool) -> tuple[bytes, bytes | None]:
        """The header section, and the whole of a message that isn't too long to be returned."""
        content = self._content(entry)
        await content.begin()
        complete = len(content.head) == content.size <= MOST_RETURNED
        return content.header, content.head if whole and complete else None

    def _content(self, entry: Entry) -> Content:
        queue, lease_id = self._courier.queue, self._lease.id
        return Content(lambda: queue.read(lease_id, entry.queue_id), entry.message.size)

    def _over(self, entry: Entry) -> bool:
        return self._courier.clock() >= self._expires_at(entry)

    def _told_now(self, entry: Entry) -> bool:
        """Whether there is something to be said of an entry that hasn't been tried."""
        return self._over(entry) or self._to_be_told(entry)

    def _to_be_told(self, entry: Entry) -> bool:
        """Whether the sender is to hear now that it is late."""
        now, asked = self._courier.clock(), entry.message.request
        if entry.delay_told or not self._courier.notices.wanted(entry, Action.DELAYED):
            return False
        missed = bool(asked.deliver_by) and not asked.by_returns and now >= asked.deliver_by
        return missed or self._courier.schedule.late(now, _began_at(entry))

    def _expires_at(self, entry: Entry) -> float:
        asked = entry.message.request
        expires = self._courier.schedule.expires_at(_began_at(entry))
        return min(expires, asked.deliver_by) if asked.deliver_by and asked.by_returns else expires

    def _given_up_at(self, entry: Entry) -> float:
        """When nobody tries to tell its sender any more: as long after it is over as it was tried,
        so that nothing stays for ever.
        """
        schedule = self._courier.schedule
        return schedule.expires_at(schedule.expires_at(_began_at(entry)))

    def _attempt(self, word: Word, outcome: Outcome) -> Attempt:
        return Attempt(int(self._courier.clock()), outcome, str(word.response), word.host, word.tls)

    def _note(self, word: Word, fate: Fate, seconds: float) -> None:
        outcome = fate.attempt.outcome
        ATTEMPTS.labels(outcome).inc()
        reason = "" if word.response.positive else classify(word.response)
        if reason:
            REFUSALS.labels(reason).inc()
        log.info(
            "smtp.attempt",
            queue_id=word.entry.queue_id,
            message_id=word.entry.message.message_id,
            sender=word.entry.reverse_path,
            recipient=word.entry.recipient.address,
            outcome=outcome,
            reply=fate.attempt.reply,
            reason=reason,
            host=word.host,
            tls=word.tls,
            seconds=round(seconds, 3),
            next_attempt_at=fate.next_attempt_at,
            trace_id=word.entry.trace_id,
        )


def _transactions(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Entries that can share a transaction: of one message, from one sender. What is more urgent
    goes first (RFC 6710).
    """
    groups: dict[tuple[int, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((id(entry.message), entry.reverse_path), []).append(entry)
    return sorted(groups.values(), key=lambda group: -group[0].message.request.priority)


def _broke(error: Exception) -> Response:
    return made_here(451, "4.3.0", f"something went wrong here: {type(error).__name__}")


def _overflow(words: list[Word]) -> tuple[list[Entry], list[Word]]:
    """Who was too many in a transaction that went well otherwise: they go in another one, at once
    (RFC 5321 section 4.5.3.1.10).
    """
    if not any(word.response.positive for word in words):
        return [], words
    many = [word.entry for word in words if _is_overflow(word.response)]
    return many, [word for word in words if not _is_overflow(word.response)]


def _is_put_off(word: Word) -> bool:
    """Whether another server may think otherwise: what was said is of this one, and neither of the
    recipient nor of how much comes from here.
    """
    return word.said and word.response.temporary and classify(word.response) not in EVERYWHERE


def _is_overflow(response: Response) -> bool:
    return response.code in (452, 552) and response.enhanced[2:] in ("5.3", "")


def _began_at(entry: Entry) -> float:
    """Since when it is tried (RFC 4865: not before it may)."""
    return max(entry.created_at, entry.message.request.hold_until)
