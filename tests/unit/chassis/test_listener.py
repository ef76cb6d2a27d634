"""Listeners and connections, with real sockets and real TLS."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop
from postroom_chassis.certificates import make_development_certificates
from postroom_chassis.followed_files import CHECK_SECONDS
from postroom_chassis.net import connection as connection_module
from postroom_chassis.net import listener as listener_module
from postroom_chassis.net.connection import Connection, Draining
from postroom_chassis.net.end_point import end_point_of
from postroom_chassis.net.listener import Limits, Listener, Network, parse_networks
from postroom_chassis.net.tls import ProxyCertificate, ServerTls

from tests.harness.client_certificates import ClientAuthority

NewLoop = Callable[[], asyncio.AbstractEventLoop]

FAREWELL_BYTES = 16_000_000
TCP_INFO = 11  # tcp_info.tcpi_data_segs_in is at octet 152


async def echo(connection: Connection) -> None:
    """Answer lines with who said them; "STLS" begins TLS."""
    connection.write(b"hello\n")
    try:
        while True:
            line = await connection.read(connection.stream.read_line(1000), 60, boundary=True)
            if line == b"quit\n":
                return
            tls = connection.tls.version if connection.tls else "clear"
            connection.write(b"%s %s %s" % (connection.peer.address.encode(), tls.encode(), line))
    except Draining:
        connection.write(b"bye\n")


@asynccontextmanager
async def listening(
    session: Callable[[Connection], Awaitable[None]] = echo,
    *,
    tls: ServerTls | None = None,
    proxies: tuple[Network, ...] = (),
    proxy_certificate: ProxyCertificate | None = None,
    secure: bool = False,
    limits: Limits | None = None,
) -> AsyncIterator[tuple[Listener, int]]:
    listener = Listener(
        "test",
        session,
        tls=tls,
        proxies=proxies,
        proxy_certificate=proxy_certificate,
        secure=secure,
        limits=limits,
        refusal=b"full\n",
    )
    port = await listener.start("127.0.0.1", 0)
    try:
        yield listener, port
    finally:
        await listener.drain(1)


async def connect(
    port: int, context: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = "localhost" if context else None
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)


async def told(reader: asyncio.StreamReader) -> bytes:
    """All that is said until the end; a reset says nothing."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def farewell(connection: Connection) -> None:
    """Say more than the kernel takes at once, and end."""
    connection.write(b"x" * FAREWELL_BYTES)


async def beginning(port: int) -> bytes:
    """The first octets that a client is told."""
    reader, writer = await connect(port)
    told = await reader.readexactly(5)
    writer.transport.abort()
    return told


async def connect_slowly(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that takes little more than it is asked to read."""
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    connected.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connected, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=connected, limit=16_384)


def segments(writer: asyncio.StreamWriter) -> int:
    """How many segments with data have come."""
    kernel: socket.socket = writer.get_extra_info("socket")
    (number,) = struct.unpack_from("I", kernel.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 192), 152)
    return int(number)


async def test_a_session_is_served() -> None:
    async with listening() as (_, port):
        reader, writer = await connect(port)
        writer.write(b"a\nb\nquit\n")
        assert await reader.read() == b"hello\n127.0.0.1 clear a\n127.0.0.1 clear b\n"
        writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="segments are counted by Linux's TCP_INFO")
async def test_replies_to_pipelined_commands_leave_together() -> None:
    async with listening() as (_, port):
        reader, writer = await connect(port)
        await reader.readline()
        before = segments(writer)
        writer.write(b"a\n" * 50)
        for _ in range(50):
            assert await reader.readline() == b"127.0.0.1 clear a\n"
        assert segments(writer) - before == 1
        writer.close()


async def test_small_and_large_writes_keep_their_order() -> None:
    large = bytes(range(256)) * 1000

    async def session(connection: Connection) -> None:
        for number in range(20):
            connection.write(b"%d" % number)
            connection.write(large)

    async with listening(session) as (_, port):
        reader, writer = await connect(port)
        assert await reader.read() == b"".join(b"%d%b" % (n, large) for n in range(20))
        writer.close()


async def told_and_left(connection: Connection) -> None:
    await connection.read(connection.stream.read_line(1000), 60)
    connection.write(b"enough\n")


async def talk_on(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"a\n" * 4_000)
        await writer.drain()


async def test_who_is_still_talking_hears_the_last_word() -> None:
    async with listening(told_and_left) as (_, port):
        reader, writer = await connect(port)
        writer.write(b"a\n" * 4_000_000)
        assert await reader.read() == b"enough\n"
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def test_who_never_stops_talking_is_heard_out_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_module, "HEAR_OUT_SECONDS", 0.1)
    async with listening(told_and_left) as (_, port):
        _, writer = await connect(port)
        with pytest.raises(ConnectionError):
            await talk_on(writer)
        writer.transport.abort()


async def test_a_drain_ends_an_idle_session_at_once() -> None:
    async with listening() as (listener, port):
        reader, writer = await connect(port)
        assert await reader.readline() == b"hello\n"
        await listener.drain(10)
        assert await reader.read() == b"bye\n"
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await connect(port)


async def test_one_address_gets_no_more_than_its_share() -> None:
    async with listening(limits=Limits(per_address=1)) as (_, port):
        reader, writer = await connect(port)
        assert await reader.readline() == b"hello\n"
        second, second_writer = await connect(port)
        assert await second.read() == b"full\n"
        writer.write(b"quit\n")
        assert await reader.read() == b""
        third, third_writer = await connect(port)
        assert await third.readline() == b"hello\n"
        for each in (writer, second_writer, third_writer):
            each.close()


async def test_a_client_that_says_nothing_is_closed() -> None:
    async def impatient(connection: Connection) -> None:
        await connection.read(connection.stream.read_line(1000), 0.1)

    async with listening(impatient) as (_, port):
        reader, writer = await connect(port)
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()


async def test_a_second_reader_is_refused_and_the_first_goes_on() -> None:
    async def twice(connection: Connection) -> None:
        first = asyncio.create_task(connection.read(connection.stream.read_line(9), 60))
        await asyncio.sleep(0)  # it has begun
        with pytest.raises(RuntimeError, match="being read"):
            await connection.read(connection.stream.read_line(9), 60)
        connection.write(b"ready\n")
        connection.write(await first)

    async with listening(twice) as (_, port):
        reader, writer = await connect(port)
        assert await reader.readline() == b"ready\n"
        writer.write(b"one\n")
        assert await reader.read() == b"one\n"
        writer.close()


@pytest.mark.parametrize("secure", [False, True])
async def test_a_trusted_proxy_tells_the_client(secure: bool) -> None:
    async with listening(proxies=parse_networks("127.0.0.0/8"), secure=secure) as (_, port):
        reader, writer = await connect(port)
        writer.write(b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 143\r\na\nquit\n")
        tls = b"TLS" if secure else b"clear"
        assert await reader.read() == b"hello\n192.0.2.1 %b a\n" % tls
        writer.close()


async def test_addresses_of_one_network_share_its_places() -> None:
    def header(address: str) -> bytes:
        return f"PROXY TCP6 {address} 2001:db8:9::9 4711 143\r\n".encode()

    networks, limits = parse_networks("127.0.0.0/8"), Limits(per_address=1)
    async with listening(proxies=networks, limits=limits) as (_, port):
        reader, writer = await connect(port)
        writer.write(header("2001:db8::1"))
        assert await reader.readline() == b"hello\n"
        for address, heard in {"2001:db8::2": b"full\n", "2001:db8:0:1::1": b"hello\n"}.items():
            other, other_writer = await connect(port)
            other_writer.write(header(address) + b"quit\n")
            assert await other.read() == heard
            other_writer.close()
        writer.close()


@pytest.mark.parametrize("trusted", ["10.0.0.0/8", "127.0.0.1"])
async def test_others_get_nowhere_with_a_header_or_without(trusted: str) -> None:
    said = {"10.0.0.0/8": b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 143\r\n", "127.0.0.1": b"no\n" * 9}
    async with listening(proxies=parse_networks(trusted)) as (_, port):
        reader, writer = await connect(port)
        writer.write(said[trusted])
        assert await told(reader) == b""
        writer.close()


async def test_a_session_may_close_by_itself(tmp_path: Path) -> None:
    tls, context = certified(tmp_path)
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))

    async def closing(connection: Connection) -> None:
        connection.write(b"bye\n")
        connection.close()

    async with listening(closing, tls=tls) as (_, port):
        reader, writer = await connect(port, context)
        assert await told(reader) == b"bye\n"
        writer.close()
    gc.collect()
    assert faults == []


async def test_starttls_forgets_what_came_in_clear(tmp_path: Path) -> None:
    make_development_certificates(tmp_path)
    tls = ServerTls(tmp_path / "tls.pem", tmp_path / "tls.key")

    async def session(connection: Connection) -> None:
        assert await connection.read(connection.stream.read_line(100), 60) == b"STLS\n"
        connection.write(b"go\n")
        await connection.start_tls(tls)
        await echo(connection)

    async with listening(session) as (_, port):
        reader, writer = await connect(port)
        writer.write(b"STLS\ninjected\n")
        assert await reader.readline() == b"go\n"
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        await writer.start_tls(context, server_hostname="localhost")
        writer.write(b"a\nquit\n")
        assert await reader.read() == b"hello\n127.0.0.1 TLSv1.3 a\n"
        writer.close()


LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_who_takes_nothing_of_what_is_left_counts_and_is_cut_off(
    new_loop: NewLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "LINGER_SECONDS", 2.0)

    async def run() -> None:
        async with listening(farewell, limits=Limits(per_address=1)) as (_, port):
            reader, writer = await connect_slowly(port)
            await reader.readexactly(1)  # the session has ended
            refused, refused_writer = await connect(port)
            assert await refused.read() == b"full\n"
            async with asyncio.timeout(20):
                while (served := await beginning(port)) == b"full\n":  # noqa: ASYNC110 (nobody tells)
                    await asyncio.sleep(0.05)
            assert served == b"xxxxx"
            assert len(await told(reader)) < FAREWELL_BYTES - 1
            writer.close()
            refused_writer.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_who_takes_what_is_left_slowly_gets_all_of_it(new_loop: NewLoop) -> None:
    async def run() -> None:
        async with listening(farewell) as (listener, port):
            reader, writer = await connect_slowly(port)
            await reader.readexactly(1)  # the session has ended
            draining = asyncio.create_task(listener.drain(60))
            assert len(await reader.read()) == FAREWELL_BYTES - 1
            await draining
            writer.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_handshakes_count(new_loop: NewLoop, tmp_path: Path) -> None:
    """Clients that connect and say nothing take the places of an address, not more."""

    async def run() -> None:
        tls, context = certified(tmp_path)
        async with listening(tls=tls, limits=Limits(per_address=2)) as (_, port):
            silent = [await connect(port) for _ in range(2)]
            refused, refused_writer = await connect(port)
            assert await asyncio.wait_for(told(refused), 20) == b""
            for _, writer in (*silent, (refused, refused_writer)):
                writer.close()
            async with asyncio.timeout(20):
                while (served := await greeted(port, context)) is None:
                    pass
            assert served == b"hello\n127.0.0.1 TLSv1.3 a\n"

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_a_handshake_takes_no_longer_than_it_may(
    new_loop: NewLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "HANDSHAKE_SECONDS", 0.1)

    async def run() -> None:
        tls, _ = certified(tmp_path)
        async with listening(tls=tls) as (_, port):
            reader, writer = await connect(port)
            assert await asyncio.wait_for(told(reader), 20) == b""
            writer.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_a_drain_waits_for_no_handshake(new_loop: NewLoop, tmp_path: Path) -> None:
    async def run() -> None:
        tls, context = certified(tmp_path)
        async with listening(tls=tls) as (listener, port):
            silent, silent_writer = await connect(port)
            reader, writer = await connect(port, context)
            assert await reader.readline() == b"hello\n"  # so the other was accepted too
            await asyncio.wait_for(listener.drain(60), 20)
            assert await reader.read() == b"bye\n"
            assert await told(silent) == b""
            writer.close()
            silent_writer.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_many_clients_begin_tls_at_once(new_loop: NewLoop, tmp_path: Path) -> None:
    async def run() -> None:
        tls, context = certified(tmp_path)
        async with listening(tls=tls) as (_, port):
            answers = await asyncio.gather(*(greeted(port, context) for _ in range(50)))
            assert answers == [b"hello\n127.0.0.1 TLSv1.3 a\n"] * 50

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


def certified(folder: Path) -> tuple[ServerTls, ssl.SSLContext]:
    """A server's TLS, and what a client needs to trust it."""
    make_development_certificates(folder)
    tls = ServerTls(folder / "tls.pem", folder / "tls.key")
    return tls, ssl.create_default_context(cafile=str(folder / "ca.pem"))


async def greeted(port: int, context: ssl.SSLContext) -> bytes | None:
    """What a client that sends a line and leaves hears; None where it is refused."""
    try:
        reader, writer = await connect(port, context)
    except (ConnectionError, ssl.SSLError):
        return None
    writer.write(b"a\nquit\n")
    heard = await reader.read()
    writer.close()
    return heard


async def test_a_new_certificate_is_taken_up(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        make_development_certificates(folder)
    tls = ServerTls(first / "tls.pem", first / "tls.key")
    async with listening(tls=tls) as (_, port):
        for folder in (first, second):
            for name in ("tls.pem", "tls.key"):
                (first / name).write_bytes((folder / name).read_bytes())
            tls.reload()
            context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
            reader, writer = await connect(port, context)
            assert await reader.readline() == b"hello\n"
            writer.close()


# What is known of certificates: the server's, which channels are bound to, and the client's.


async def tell(connection: Connection) -> None:
    """Tell what is known of the connection's certificates."""
    tls = connection.tls
    if tls is None:
        connection.write(b"go\n")
        return
    connection.write(f"{tls.end_point.hex()} {','.join(tls.client_names)}\n".encode())


async def told_of(port: int, context: ssl.SSLContext) -> tuple[bytes, str]:
    """What a client is told by `tell`."""
    reader, writer = await connect(port, context)
    end_point, _, names = (await reader.read()).decode().strip("\n").partition(" ")
    writer.close()
    return bytes.fromhex(end_point), names


def trusting(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / "ca.pem"))


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_the_certificates_of_both_sides_are_known(new_loop: NewLoop, tmp_path: Path) -> None:
    async def run() -> None:
        make_development_certificates(tmp_path)
        clients = ClientAuthority(tmp_path / "clients")
        ann = clients.issue("ann", ["ann@example.org"])
        tls = ServerTls(tmp_path / "tls.pem", tmp_path / "tls.key", clients.certificate)
        expected = end_point_of((tmp_path / "tls.pem").read_bytes())
        async with listening(tell, tls=tls) as (_, port):
            assert await told_of(port, trusting(tmp_path)) == (expected, "")
            shown = await told_of(port, ann.show_in(trusting(tmp_path)))
            assert shown == (expected, "ann@example.org")

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_they_are_known_after_starttls(new_loop: NewLoop, tmp_path: Path) -> None:
    async def run() -> None:
        make_development_certificates(tmp_path)
        clients = ClientAuthority(tmp_path / "clients")
        tls = ServerTls(tmp_path / "tls.pem", tmp_path / "tls.key", clients.certificate)
        context = clients.issue("ann").show_in(trusting(tmp_path))

        async def session(connection: Connection) -> None:
            await connection.read(connection.stream.read_line(100), 60)
            connection.write(b"go\n")
            await connection.start_tls(tls)
            await tell(connection)

        async with listening(session) as (_, port):
            reader, writer = await connect(port)
            writer.write(b"STLS\n")
            assert await reader.readline() == b"go\n"
            await writer.start_tls(context, server_hostname="localhost")
            expected = end_point_of((tmp_path / "tls.pem").read_bytes())
            assert await reader.read() == f"{expected.hex()} ann\n".encode()
            writer.close()

    # StreamWriter.start_tls is asyncio's own; the server's side is what is tried.
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(run())


async def test_a_certificate_of_another_authority_is_not_believed(tmp_path: Path) -> None:
    make_development_certificates(tmp_path)
    clients, foreign = ClientAuthority(tmp_path / "clients"), ClientAuthority(tmp_path / "foreign")
    tls = ServerTls(tmp_path / "tls.pem", tmp_path / "tls.key", clients.certificate)
    context = foreign.issue("ann", ["ann@example.org"]).show_in(trusting(tmp_path))
    async with listening(tell, tls=tls) as (_, port):
        try:
            reader, writer = await connect(port, context)
            heard = await reader.read()
            writer.close()
        except (ssl.SSLError, ConnectionError):
            heard = b""
        assert heard == b""
        assert (await told_of(port, trusting(tmp_path)))[1] == ""


async def test_a_client_s_certificate_is_asked_for_where_its_authority_is_known(
    tmp_path: Path,
) -> None:
    make_development_certificates(tmp_path)
    ann = ClientAuthority(tmp_path / "clients").issue("ann", ["ann@example.org"])
    tls = ServerTls(tmp_path / "tls.pem", tmp_path / "tls.key")
    async with listening(tell, tls=tls) as (_, port):
        assert (await told_of(port, ann.show_in(trusting(tmp_path))))[1] == ""


def replaced(first: Path, second: Path) -> None:
    for name in ("tls.pem", "tls.key"):
        (first / name).write_bytes((second / name).read_bytes())


async def test_the_end_point_follows_the_certificate(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        make_development_certificates(folder)
    tls = ServerTls(first / "tls.pem", first / "tls.key")
    before = tls.end_point
    async with listening(tell, tls=tls) as (_, port):
        replaced(first, second)
        tls.reload()
        after = end_point_of((second / "tls.pem").read_bytes())
        assert await told_of(port, trusting(second)) == (after, "")
    assert after != before


async def test_half_of_a_new_pair_leaves_the_old_one_in_use(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        make_development_certificates(folder)
    tls = ServerTls(first / "tls.pem", first / "tls.key")
    before = tls.end_point
    async with listening(tell, tls=tls) as (_, port):
        (first / "tls.pem").write_bytes((second / "tls.pem").read_bytes())
        tls.reload()
        assert await told_of(port, trusting(first)) == (before, "")
        replaced(first, second)
        tls.reload()
        after = end_point_of((second / "tls.pem").read_bytes())
        assert await told_of(port, trusting(second)) == (after, "")


@dataclass(frozen=True)
class Heard:
    """What `tell` told a client, and the TLS session that may go on."""

    end_point: bytes
    names: str
    reused: bool
    session: ssl.SSLSession


async def resumed(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> Heard:
    """Go on with a session, or begin one."""

    def speak() -> Heard:
        with (
            socket.create_connection(("127.0.0.1", port)) as clear,
            context.wrap_socket(clear, server_hostname="localhost", session=session) as wire,
        ):
            end_point, _, names = wire.recv(1000).decode().strip("\n").partition(" ")
            assert wire.session is not None
            return Heard(bytes.fromhex(end_point), names, bool(wire.session_reused), wire.session)

    return await asyncio.to_thread(speak)


async def test_a_session_that_goes_on_under_a_new_certificate_is_bound_to_none(
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        make_development_certificates(folder)
    tls = ServerTls(first / "tls.pem", first / "tls.key")
    context = trusting(first)

    async with listening(tell, tls=tls) as (_, port):
        begun = await resumed(port, context, None)
        assert (begun.end_point, begun.reused) == (tls.end_point, False)
        again = await resumed(port, context, begun.session)
        assert (again.end_point, again.reused) == (tls.end_point, True)
        replaced(first, second)
        tls.reload()
        after = await resumed(port, context, again.session)
        assert (after.end_point, after.reused) == (b"", True)


async def test_a_session_that_goes_on_keeps_the_client_s_certificate(tmp_path: Path) -> None:
    make_development_certificates(tmp_path)
    clients = ClientAuthority(tmp_path / "clients")
    tls = ServerTls(tmp_path / "tls.pem", tmp_path / "tls.key", clients.certificate)
    context = clients.issue("ann").show_in(trusting(tmp_path))
    async with listening(tell, tls=tls) as (_, port):
        begun = await resumed(port, context, None)
        again = await resumed(port, context, begun.session)
        assert (begun.names, again.names, again.reused) == ("ann", "ann", True)


PROXIED = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", 12 + 3 + 5 + 6)
    + socket.inet_aton("192.0.2.1") * 2 + struct.pack("!HH", 4711, 993)
    + b"\x20" + struct.pack("!H", 5 + 6) + b"\x03\0\0\0\0" + b"\x22" + struct.pack("!H", 3) + b"ann"
)  # fmt: skip


async def test_what_the_proxy_shows_is_known(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        make_development_certificates(folder)
    now = 0.0
    shown = ProxyCertificate(first / "tls.pem", lambda: now)
    networks = parse_networks("127.0.0.0/8")

    async def heard(port: int) -> bytes:
        reader, writer = await connect(port)
        writer.write(PROXIED)
        told = await reader.read()
        writer.close()
        return told

    def expected(folder: Path) -> bytes:
        return end_point_of((folder / "tls.pem").read_bytes()).hex().encode() + b" ann\n"

    async with listening(tell, proxies=networks, proxy_certificate=shown) as (_, port):
        assert await heard(port) == expected(first)
        old = expected(first)
        replaced(first, second)
        assert await heard(port) == old
        now += CHECK_SECONDS + 1
        assert await heard(port) == expected(second)
        # What can't be read leaves what was.
        (first / "tls.pem").write_text("nothing")
        now += CHECK_SECONDS + 1
        assert await heard(port) == expected(second)
    async with listening(tell, proxies=networks) as (_, port):
        assert await heard(port) == b" ann\n"


def test_a_proxy_s_certificate_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "tls.pem").write_text("nothing")
    for name in ("tls.pem", "none.pem"):
        with pytest.raises(OSError, match=name):
            ProxyCertificate(tmp_path / name)
