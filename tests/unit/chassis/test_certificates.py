"""Certificates that we make ourselves, and make anew before they end."""

from __future__ import annotations

import datetime
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from postroom_chassis.certificates import (
    AUTHORITY_DAYS,
    CERTIFICATE_DAYS,
    FOLDERS,
    SERVICES,
    make_development_certificates,
    make_self_signed,
)
from postroom_chassis.tickets import (
    Ticket,
    TicketSigner,
    TicketVerifier,
    read_signing_key,
    read_verification_keys,
)

NOW = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def read(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def names(file: Path) -> list[str]:
    found = read(file).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in found]


def shakes_hands(pair: Path, authority: Path, host: str) -> bool:
    """Whether a client that trusts an authority, and is strict, believes a server's certificate."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pair, pair.with_suffix(".key"))
    client = ssl.create_default_context(cafile=str(authority))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    done = [False, False]
    while not all(done):
        for number, end in enumerate(ends):
            try:
                end.do_handshake()
                done[number] = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                return False
    return True


def test_containers_get_a_folder_for_each_mount(tmp_path: Path) -> None:
    made = make_development_certificates(tmp_path, ["mail.example.org"], FOLDERS)

    pairs = [
        f"{name}/{file}" for name in (*SERVICES, "tls") for file in ("tls.crt", "tls.key", "ca.crt")
    ]
    others = ["ca/ca.crt", "ca/ca.key", "ticket/ticket.key", "ticket/ticket.pub"]
    others += ["ticket-public/ticket.pub", "secrets/secrets.keys"]
    files = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {Path(name) for name in (*pairs, *others)}
    assert set(made) <= {tmp_path / name for name in files}
    for file in files:
        owners_only = stat.S_IMODE((tmp_path / file).stat().st_mode) == 0o600
        assert owners_only == (file.suffix in (".key", ".keys")), file
    assert shakes_hands(tmp_path / "tls/tls.crt", tmp_path / "imap/ca.crt", "mail.example.org")
    assert shakes_hands(tmp_path / "auth/tls.crt", tmp_path / "smtp/ca.crt", "auth.postroom")
    signer = TicketSigner(read_signing_key((tmp_path / "ticket/ticket.key").read_bytes()))
    public = read_verification_keys([(tmp_path / "ticket-public/ticket.pub").read_bytes()])
    ticket = Ticket(7, "ann@example.org", frozenset({"mail"}), 4_000_000_000)
    assert TicketVerifier(public).verify(signer.sign(ticket)).account_id == 7


def test_what_is_there_stays(tmp_path: Path) -> None:
    make_development_certificates(tmp_path, now=NOW)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    assert make_development_certificates(tmp_path, now=NOW + 200 * DAY) == []

    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_is_about_to_end_is_renewed_with_its_key_and_names(tmp_path: Path) -> None:
    make_development_certificates(tmp_path, ["mail.example.org"], now=NOW)
    keys = {path: path.read_bytes() for path in tmp_path.glob("*.key*")}
    authority = (tmp_path / "ca.pem").read_bytes()
    later = NOW + 250 * DAY

    made = make_development_certificates(tmp_path, now=later)

    assert set(made) == {tmp_path / f"{name}.pem" for name in (*SERVICES, "tls")}
    assert read(tmp_path / "imap.pem").not_valid_after_utc == later + CERTIFICATE_DAYS * DAY
    assert {"mail.example.org", "localhost"} <= set(names(tmp_path / "tls.pem"))
    assert {path: path.read_bytes() for path in tmp_path.glob("*.key*")} == keys
    assert (tmp_path / "ca.pem").read_bytes() == authority


def test_an_authority_is_renewed_before_what_it_signs_outlives_it(tmp_path: Path) -> None:
    begun = datetime.datetime.now(datetime.UTC) - (AUTHORITY_DAYS - CERTIFICATE_DAYS + 1) * DAY
    make_development_certificates(tmp_path, now=begun)
    (tmp_path / "old.pem").write_bytes((tmp_path / "ca.pem").read_bytes())

    made = make_development_certificates(tmp_path)

    assert {tmp_path / "ca.pem", tmp_path / "tls.pem", tmp_path / "smtp.pem"} <= set(made)
    # Who still has the old one believes the new certificates, until its end.
    for trusted in ("ca.pem", "old.pem"):
        assert shakes_hands(tmp_path / "tls.pem", tmp_path / trusted, "localhost")


def test_a_name_that_is_new_gets_into_the_certificate(tmp_path: Path) -> None:
    make_development_certificates(tmp_path, ["a.example.org"], now=NOW)

    made = make_development_certificates(tmp_path, ["b.example.org"], now=NOW)

    assert made == [tmp_path / "tls.pem"]
    assert {"a.example.org", "b.example.org"} <= set(names(tmp_path / "tls.pem"))


def test_certificates_of_others_are_never_touched(tmp_path: Path) -> None:
    ours, others = tmp_path / "ours", tmp_path / "others"
    for folder in (ours, others):
        make_development_certificates(folder, now=NOW)
    theirs = (others / "tls.pem").read_bytes()
    (ours / "tls.pem").write_bytes(theirs)
    (ours / "tls.key").write_bytes((others / "tls.key").read_bytes())

    made = make_development_certificates(ours, ["mail.example.org"], now=NOW + 300 * DAY)

    assert ours / "imap.pem" in made
    assert (ours / "tls.pem").read_bytes() == theirs


def test_an_authority_whose_key_is_elsewhere_signs_nothing(tmp_path: Path) -> None:
    make_development_certificates(tmp_path, now=NOW)
    (tmp_path / "ca.key").unlink()
    assert make_development_certificates(tmp_path, now=NOW + 300 * DAY) == []
    (tmp_path / "imap.pem").unlink()
    with pytest.raises(ValueError, match=r"imap\.pem is to be signed, but .*ca\.pem has no key"):
        make_development_certificates(tmp_path, now=NOW)


def test_who_has_no_certificate_makes_one_that_vouches_for_itself(tmp_path: Path) -> None:
    made = make_self_signed(tmp_path, ["mail.example.org", "192.0.2.1"])

    assert made == [tmp_path / "tls.crt"]
    for host in ("mail.example.org", "192.0.2.1"):
        assert shakes_hands(tmp_path / "tls.crt", tmp_path / "tls.crt", host)
    assert not shakes_hands(tmp_path / "tls.crt", tmp_path / "tls.crt", "www.example.org")
    assert make_self_signed(tmp_path, ["mail.example.org"]) == []


def test_it_is_renewed_in_time_and_given_way_to_a_better_one(tmp_path: Path) -> None:
    make_self_signed(tmp_path, ["mail.example.org"], now=NOW)
    assert make_self_signed(tmp_path, ["mail.example.org"], now=NOW + 250 * DAY)
    make_development_certificates(tmp_path / "bought", ["mail.example.org"], now=NOW)
    for name in ("tls.crt", "tls.key"):
        bought = (tmp_path / "bought" / name).with_suffix(".pem" if name == "tls.crt" else ".key")
        (tmp_path / name).write_bytes(bought.read_bytes())
    assert make_self_signed(tmp_path, ["mail.example.org"], now=NOW + 364 * DAY) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--self-signed"], "--self-signed needs a --host"),
        (["--self-signed", "--folders", "--host", "a.example"], "not allowed with"),
        (["--host", "märz.example"], "write it in its ASCII form (xn--...)"),
    ],
)
def test_the_command_tells_mistakes(tmp_path: Path, arguments: list[str], said: str) -> None:
    ran = command(tmp_path / "new", *arguments)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert not (tmp_path / "new").exists()


def test_the_command_tells_what_it_makes_and_what_it_cannot(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    ran = command(folder, "--self-signed", "--host", "mail.example.org")
    assert (ran.returncode, ran.stdout) == (0, f"made {folder / 'tls.crt'}\n")
    (folder / "tls.crt").write_text("nothing")
    ran = command(folder, "--self-signed", "--host", "mail.example.org")
    assert ran.returncode == 1
    assert ran.stderr.startswith("postroom_chassis.certificates: ")
    assert "Traceback" not in ran.stderr


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "postroom_chassis.certificates", *arguments, folder]
    return subprocess.run(line, capture_output=True, text=True, timeout=60)
