"""ACLs over the RPC: nobody reaches into another's account but as far as its rights go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from google.protobuf.descriptor import Descriptor
from postroom.store.v1 import (
    admin_pb2,
    change_pb2,
    mailbox_pb2,
    message_pb2,
    quota_pb2,
    url_pb2,
)
from postroom_chassis.errors import Kind, PostroomError

from .conftest import ANN, Callers

BOB = 8
EVE = 9
HELLO = b"From: bob@example.org\r\nSubject: hello\r\n\r\nHow are you?\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 20_000
ALL = "lrswipkxtean"
SHARED = "Other Users/account7@example.org/"
NEVER = "!"  # in the place of rights: refused to every guest
EVERYTHING = [message_pb2.UidRange(first=1, last=99)]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a guest.

    Attributes:
        needed: the rights without any of which it is refused.
        call: makes the call of a person, into an account's mailbox, under a name for it.
        one_of: rights one of which is needed as well.
    """

    needed: str
    call: Callable[[Callers, int, int, int], Awaitable[object]]
    one_of: str = ""


async def _list(store: Callers, person: int, owner: int, mailbox_id: int) -> object:
    """LIST refuses nobody: it leaves out, which is looked at here."""
    listed = await store.mailboxes.List(mailbox_pb2.ListRequest(), metadata=store.ticket(person))
    if not any(mailbox.owner == owner for mailbox in listed.mailboxes):
        raise PostroomError(Kind.NOT_FOUND, "left out")
    return listed


async def _open(store: Callers, person: int, request: message_pb2.OpenRequest) -> object:
    return [one async for one in store.messages.Open(request, metadata=store.ticket(person))]


async def _fetch(store: Callers, person: int, owner: int, mailbox_id: int) -> object:
    request = message_pb2.FetchRequest(
        owner=owner, mailbox_id=mailbox_id, uids=EVERYTHING, sections=[message_pb2.Section()]
    )
    return [one async for one in store.messages.Fetch(request, metadata=store.ticket(person))]


async def _search(store: Callers, person: int, owner: int, mailbox_id: int) -> object:
    key = message_pb2.SearchKey(text="hello")
    request = message_pb2.SearchRequest(owner=owner, mailbox_id=mailbox_id, key=key)
    return [one async for one in store.messages.Search(request, metadata=store.ticket(person))]


async def _search_many(store: Callers, person: int, owner: int, mailbox_id: int) -> object:
    """Searches of many mailboxes pass over what others share."""
    request = message_pb2.SearchManyRequest(
        scopes=[
            message_pb2.MailboxScope(
                kind=message_pb2.MailboxScope.KIND_SUBTREES,
                names=[SHARED + "Work", SHARED.rstrip("/"), "Other Users"],
            ),
            message_pb2.MailboxScope(kind=message_pb2.MailboxScope.KIND_ID, mailbox_id=mailbox_id),
        ],
        key=message_pb2.SearchKey(all_of=message_pb2.SearchKey.Keys()),
    )
    answers = store.messages.SearchMany(request, metadata=store.ticket(person))
    found = [one async for one in answers]
    if not found:
        raise PostroomError(Kind.NOT_FOUND, "passed over")
    return found


async def _catenate(store: Callers, person: int, owner: int, mailbox_id: int) -> object:
    piece = message_pb2.Catenation.Piece(
        reference=message_pb2.Reference(name=SHARED + "Work", uid=1)
    )
    request = message_pb2.AppendRequest(
        idempotency_key=b"a",
        name="INBOX",
        messages=[message_pb2.NewMessage(catenation=message_pb2.Catenation(pieces=[piece]))],
    )
    answer = await store.messages.Append(request, metadata=store.ticket(person))
    if answer.HasField("bad_reference"):
        raise PostroomError(Kind.NOT_FOUND, "a reference to nothing")
    return answer


async def _authorize(store: Callers, person: int, owner: int, mailbox_id: int) -> object:
    name = (SHARED + "Work").replace(" ", "%20").replace("@", "%40")
    rump = f"imap://account{person}%40example.org@store.test/{name}/;UID=1;URLAUTH=authuser"
    return await store.urls.Authorize(
        url_pb2.AuthorizeRequest(rumps=[rump]), metadata=store.ticket(person)
    )


async def _reset_keys(store: Callers, person: int, owner: int, mailbox_id: int) -> object:
    request = url_pb2.ResetKeysRequest(idempotency_key=b"k", name=SHARED + "Work")
    return await store.urls.ResetKeys(request, metadata=store.ticket(person))


async def _upload(store: Callers, person: int, owner: int, mailbox_id: int) -> object:
    """An upload is the person's own; what can be aimed is its use."""
    raise PostroomError(Kind.NOT_FOUND, "names no mailbox")


async def _watch(store: Callers, person: int, owner: int, mailbox_id: int) -> object:
    stream = store.changes.Watch()  # type: ignore[call-arg]
    add = change_pb2.WatchRequest.Add(
        ticket=store.certificates.ticket(person), mailbox_id=mailbox_id, owner=owner
    )
    await stream.write(change_pb2.WatchRequest(add=add))
    async with asyncio.timeout(30):
        answer = await stream.read()
    stream.cancel()
    if answer.refusals:
        raise PostroomError(Kind(answer.refusals[0].kind), answer.refusals[0].message)
    assert [(one.account_id, one.mailbox_id) for one in answer.watching] == [(owner, mailbox_id)]
    return answer


def _by_name(method: str, request: Callable[[], object]) -> Callable[..., Awaitable[object]]:
    async def call(store: Callers, person: int, owner: int, mailbox_id: int) -> object:
        service = store.mailboxes if hasattr(store.mailboxes, method) else store.messages
        return await getattr(service, method)(request(), metadata=store.ticket(person))

    return call


def _by_id(method: str, request: Callable[[int, int], object]) -> Callable[..., Awaitable[object]]:
    async def call(store: Callers, person: int, owner: int, mailbox_id: int) -> object:
        service = store.mailboxes if hasattr(store.mailboxes, method) else store.messages
        made = request(owner, mailbox_id)
        return await getattr(service, method)(made, metadata=store.ticket(person))

    return call


def _store(flag: str) -> Callable[[int, int], message_pb2.StoreFlagsRequest]:
    return lambda owner, mailbox_id: message_pb2.StoreFlagsRequest(
        idempotency_key=b"s",
        owner=owner,
        mailbox_id=mailbox_id,
        uids=EVERYTHING,
        mode=message_pb2.StoreFlagsRequest.MODE_ADD,
        flags=[flag],
    )


def _copy(target: str) -> Callable[[int, int], message_pb2.CopyRequest]:
    return lambda owner, mailbox_id: message_pb2.CopyRequest(
        idempotency_key=b"c", owner=owner, mailbox_id=mailbox_id, uids=EVERYTHING, target=target
    )


def _annotate(entry: str, value: bytes = b"mine") -> mailbox_pb2.SetMetadataRequest:
    return mailbox_pb2.SetMetadataRequest(
        idempotency_key=b"m",
        name=SHARED + "Work",
        annotations=[mailbox_pb2.Annotation(entry=entry, value=value)],
    )


def _annotate_messages(shared: bool) -> Callable[[int, int], message_pb2.StoreAnnotationsRequest]:
    return lambda owner, mailbox_id: message_pb2.StoreAnnotationsRequest(
        idempotency_key=b"n",
        owner=owner,
        mailbox_id=mailbox_id,
        uids=EVERYTHING,
        annotations=[message_pb2.NewAnnotation(entry="/comment", shared=shared, value=b"mine")],
    )


def _append_annotated(shared: bool) -> message_pb2.AppendRequest:
    note = message_pb2.NewAnnotation(entry="/comment", shared=shared, value=b"mine")
    return message_pb2.AppendRequest(
        idempotency_key=b"a",
        name=SHARED + "Work",
        messages=[message_pb2.NewMessage(content=HELLO, annotations=[note])],
    )


def _replace(target: str) -> Callable[[int, int], message_pb2.AppendRequest]:
    return lambda owner, mailbox_id: message_pb2.AppendRequest(
        idempotency_key=b"r",
        name=target,
        messages=[message_pb2.NewMessage(content=HELLO)],
        replaced=message_pb2.AppendRequest.Replaced(owner=owner, mailbox_id=mailbox_id, uid=1),
    )


# Every RPC that is called with a ticket, aimed at somebody else's mailbox in every way there is.
# A row "Method" or "Method: a way"; a new RPC without a row fails the test below.
ATTEMPTS: dict[str, Attempt] = {
    "MailboxService.List": Attempt("l", _list),
    "MailboxService.Status": Attempt(
        "r", _by_name("Status", lambda: mailbox_pb2.StatusRequest(names=[SHARED + "Work"]))
    ),
    "MailboxService.Create": Attempt(
        "k",
        _by_name(
            "Create",
            lambda: mailbox_pb2.CreateRequest(idempotency_key=b"k", name=SHARED + "Work/new"),
        ),
    ),
    "MailboxService.Delete": Attempt(
        "x",
        _by_name(
            "Delete", lambda: mailbox_pb2.DeleteRequest(idempotency_key=b"k", name=SHARED + "Work")
        ),
    ),
    "MailboxService.Rename": Attempt(
        "xk",
        _by_name(
            "Rename",
            lambda: mailbox_pb2.RenameRequest(
                idempotency_key=b"k", name=SHARED + "Work/in", new_name=SHARED + "Work/out"
            ),
        ),
    ),
    "MailboxService.Subscribe": Attempt(
        "",
        _by_name(
            "Subscribe",
            lambda: mailbox_pb2.SubscribeRequest(
                idempotency_key=b"k", name=SHARED + "Work", subscribed=True
            ),
        ),
    ),
    "MailboxService.GetMetadata": Attempt(
        "l",
        _by_name(
            "GetMetadata",
            lambda: mailbox_pb2.GetMetadataRequest(
                name=SHARED + "Work", entries=["/shared/comment"]
            ),
        ),
        one_of="rswip",
    ),
    "MailboxService.SetMetadata: private": Attempt(
        "l", _by_name("SetMetadata", lambda: _annotate("/private/comment")), one_of="rswip"
    ),
    "MailboxService.SetMetadata: shared": Attempt(
        "lw", _by_name("SetMetadata", lambda: _annotate("/shared/comment"))
    ),
    "MailboxService.SetMetadata: special use": Attempt(
        NEVER, _by_name("SetMetadata", lambda: _annotate("/private/specialuse", b"\\Junk"))
    ),
    "MailboxService.MyRights": Attempt(
        "*", _by_name("MyRights", lambda: mailbox_pb2.MyRightsRequest(name=SHARED + "Work"))
    ),
    "MailboxService.MyRights: by id": Attempt(
        "*",
        _by_id(
            "MyRights",
            lambda owner, mailbox_id: mailbox_pb2.MyRightsRequest(
                owner=owner, mailbox_id=mailbox_id
            ),
        ),
    ),
    "MailboxService.GetAcl": Attempt(
        "a", _by_name("GetAcl", lambda: mailbox_pb2.GetAclRequest(name=SHARED + "Work"))
    ),
    "MailboxService.SetAcl": Attempt(
        "a",
        _by_name(
            "SetAcl",
            lambda: mailbox_pb2.SetAclRequest(
                idempotency_key=b"k",
                name=SHARED + "Work",
                identifier="account8@example.org",
                account_id=BOB,
                mode=mailbox_pb2.SetAclRequest.MODE_REPLACE,
                rights=ALL,
            ),
        ),
    ),
    "MessageService.Open": Attempt(
        "r",
        lambda store, person, owner, mailbox_id: _open(
            store, person, message_pb2.OpenRequest(name=SHARED + "Work")
        ),
    ),
    "MessageService.Open: by id": Attempt(
        "r",
        lambda store, person, owner, mailbox_id: _open(
            store, person, message_pb2.OpenRequest(mailbox_id=mailbox_id, owner=owner)
        ),
    ),
    "MessageService.Fetch": Attempt("r", _fetch),
    "MessageService.Upload": Attempt("-", _upload),
    "MessageService.Append": Attempt(
        "i",
        _by_name(
            "Append",
            lambda: message_pb2.AppendRequest(
                idempotency_key=b"a",
                name=SHARED + "Work",
                messages=[message_pb2.NewMessage(content=HELLO)],
            ),
        ),
    ),
    "MessageService.Append: with a private annotation": Attempt(
        "ir", _by_name("Append", lambda: _append_annotated(False))
    ),
    "MessageService.Append: with a shared annotation": Attempt(
        "in", _by_name("Append", lambda: _append_annotated(True))
    ),
    "MessageService.Append: in the place of another": Attempt(
        "irte", _by_id("Append", _replace(SHARED + "Work"))
    ),
    "MessageService.Append: across": Attempt(NEVER, _by_id("Append", _replace("INBOX"))),
    "MessageService.Append: out of references": Attempt("r", _catenate),
    "MessageService.StoreFlags: Seen": Attempt("rs", _by_id("StoreFlags", _store("\\Seen"))),
    "MessageService.StoreFlags: Deleted": Attempt("rt", _by_id("StoreFlags", _store("\\Deleted"))),
    "MessageService.StoreFlags: others": Attempt("rw", _by_id("StoreFlags", _store("$Work"))),
    "MessageService.StoreAnnotations: private": Attempt(
        "r", _by_id("StoreAnnotations", _annotate_messages(False))
    ),
    "MessageService.StoreAnnotations: shared": Attempt(
        "rn", _by_id("StoreAnnotations", _annotate_messages(True))
    ),
    "MessageService.Copy: out": Attempt("r", _by_id("Copy", _copy("Archive"))),
    "MessageService.Copy: within": Attempt("ri", _by_id("Copy", _copy(SHARED + "Work"))),
    "MessageService.Copy: in": Attempt(
        "i", _by_id("Copy", lambda owner, mailbox_id: _copy(SHARED + "Work")(0, 1))
    ),
    "MessageService.Move: out": Attempt("rte", _by_id("Move", _copy("Archive"))),
    "MessageService.Move: within": Attempt("rtei", _by_id("Move", _copy(SHARED + "Work"))),
    "MessageService.Move: in": Attempt(
        "i", _by_id("Move", lambda owner, mailbox_id: _copy(SHARED + "Work")(0, 1))
    ),
    "MessageService.Expunge": Attempt(
        "e",
        _by_id(
            "Expunge",
            lambda owner, mailbox_id: message_pb2.ExpungeRequest(
                idempotency_key=b"e", owner=owner, mailbox_id=mailbox_id
            ),
        ),
    ),
    "MessageService.Vanished": Attempt(
        "r",
        _by_id(
            "Vanished",
            lambda owner, mailbox_id: message_pb2.VanishedRequest(
                owner=owner, mailbox_id=mailbox_id
            ),
        ),
    ),
    "MessageService.Search": Attempt("r", _search),
    "MessageService.SearchMany": Attempt(NEVER, _search_many),
    "UrlService.Authorize": Attempt(NEVER, _authorize),
    "UrlService.ResetKeys": Attempt(NEVER, _reset_keys),
    "UrlService.Fetch": Attempt(
        "-", _upload
    ),  # names no account but by its token: see test_urls.py
    "QuotaService.GetQuota": Attempt("-", _upload),
    "ChangeService.Watch": Attempt("r", _watch),
}
# What no right at all is asked for, or can be.
AIMED = [name for name, attempt in ATTEMPTS.items() if attempt.needed not in ("", "-", NEVER)]
REFUSED = [name for name, attempt in ATTEMPTS.items() if attempt.needed == NEVER]
# What tells nothing rather than that a right is lacking.
SILENT = ("MailboxService.List", "MessageService.Append: out of references")


def test_every_rpc_has_a_row() -> None:
    methods = {
        f"{service.name}.{method.name}"
        for file, name in (
            (mailbox_pb2, "MailboxService"),
            (message_pb2, "MessageService"),
            (change_pb2, "ChangeService"),
            (url_pb2, "UrlService"),
            (quota_pb2, "QuotaService"),
        )
        for service in [file.DESCRIPTOR.services_by_name[name]]
        for method in service.methods
    }
    assert methods == {name.partition(":")[0] for name in ATTEMPTS}


def test_a_mailbox_id_goes_with_whose_it_is() -> None:
    """Else a request for a shared mailbox would reach an own one with the same number."""
    of_the_ticket = {"MailboxScope", "SearchManyRequest.Own"}  # these never mean another's
    looked_at: set[str] = set()

    def look(message: Descriptor) -> None:
        name = message.full_name.removeprefix("postroom.store.v1.")
        if name in looked_at:
            return
        looked_at.add(name)
        fields = message.fields_by_name
        if name not in of_the_ticket:
            assert "mailbox_id" not in fields or "owner" in fields, name
        for field in message.fields:
            if field.message_type is not None:
                look(field.message_type)

    for file, service in ((mailbox_pb2, "MailboxService"), (message_pb2, "MessageService")):
        for method in file.DESCRIPTOR.services_by_name[service].methods:
            look(method.input_type)
    assert "AppendRequest.Replaced" in looked_at


async def share(store: Callers, rights: str, name: str = "Work", person: int = BOB) -> None:
    request = mailbox_pb2.SetAclRequest(
        idempotency_key=f"{name}{person}{rights}".encode(),
        name=name,
        identifier=f"account{person}@example.org",
        account_id=person,
        mode=mailbox_pb2.SetAclRequest.MODE_REPLACE,
        rights=rights,
    )
    await store.mailboxes.SetAcl(request, metadata=store.ticket())


async def prepare(store: Callers) -> int:
    """Ann's Work and Work/in, each with one message; Bob has one, too. Answers the id of Work."""
    for name in ("Work", "Work/in"):
        create = mailbox_pb2.CreateRequest(idempotency_key=name.encode(), name=name)
        await store.mailboxes.Create(create, metadata=store.ticket())
    for person, name in ((ANN, "Work"), (ANN, "Work/in"), (BOB, "INBOX")):
        append = message_pb2.AppendRequest(
            idempotency_key=f"first {name}".encode(),
            name=name,
            messages=[message_pb2.NewMessage(content=HELLO, flags=["\\Deleted"])],
        )
        await store.messages.Append(append, metadata=store.ticket(person))
    return (await store.open("Work")).mailbox.mailbox_id


async def looks(store: Callers) -> list[object]:
    """All that Ann can see of her account."""
    listed = await store.mailboxes.List(mailbox_pb2.ListRequest(), metadata=store.ticket())
    names = [mailbox.name for mailbox in listed.mailboxes if mailbox.selectable]
    return [listed, *[await store.open(name) for name in names]]


async def refusal(store: Callers, name: str, owner: int, mailbox_id: int) -> Kind | None:
    try:
        await ATTEMPTS[name].call(store, BOB, owner, mailbox_id)
    except PostroomError as error:
        return error.kind
    return None


@pytest.mark.parametrize("blobs", ["sql"], indirect=True)
async def test_without_an_acl_nothing_can_be_reached(store: Callers) -> None:
    work = await prepare(store)
    usage = await store.admin.Usage(admin_pb2.UsageRequest())
    for name in AIMED:
        for owner, mailbox_id in ((ANN, work), (ANN, 999), (4711, 1)):
            kind = await refusal(store, name, owner, mailbox_id)
            assert kind is Kind.NOT_FOUND, f"{name} on {owner}: {kind}"
    # The same once the accounts know each other, through another mailbox.
    await share(store, ALL, "Drafts")
    before = await looks(store)
    for name in AIMED:
        if name != "MailboxService.List":
            kind = await refusal(store, name, ANN, work)
            assert kind is Kind.NOT_FOUND, f"{name}: {kind}"
    assert await looks(store) == before
    # No account was made for an owner who was made up.
    again = await store.admin.Usage(admin_pb2.UsageRequest())
    assert [one.account_id for one in again.accounts] == [one.account_id for one in usage.accounts]


@pytest.mark.parametrize("blobs", ["sql"], indirect=True)
@pytest.mark.parametrize("name", AIMED)
async def test_each_right_is_needed(store: Callers, name: str) -> None:
    """With all rights but one that is needed a call is refused; with those alone it is not."""
    needed = ATTEMPTS[name].needed
    work = await prepare(store)
    if needed == "*":
        await share(store, "swpte")
        assert await refusal(store, name, ANN, work) is Kind.NOT_FOUND
        await share(store, "a")
        assert await refusal(store, name, ANN, work) is None
        return
    for right in needed:
        for mailbox in ("Work", "Work/in"):
            await share(store, ALL.replace(right, ""), mailbox)
        before = await looks(store)
        kind = await refusal(store, name, ANN, work)
        assert kind is (Kind.NOT_FOUND if name in SILENT else Kind.DENIED)
        assert await looks(store) == before
    one_of = ATTEMPTS[name].one_of
    if one_of:
        await share(store, "".join(set(ALL) - set(one_of)))
        assert await refusal(store, name, ANN, work) is Kind.DENIED
    for one in one_of or [""]:
        for mailbox in ("Work", "Work/in"):
            await share(store, needed + one, mailbox)
        assert await refusal(store, name, ANN, work) is None


@pytest.mark.parametrize("blobs", ["sql"], indirect=True)
async def test_some_calls_are_for_owners_alone(store: Callers) -> None:
    """Whatever rights a guest has; a mailbox of its own with the same number isn't touched."""
    work = await prepare(store)
    for mailbox in ("Work", "Work/in"):
        await share(store, ALL, mailbox)
    before = await looks(store)
    kinds = {name: await refusal(store, name, ANN, work) for name in REFUSED}
    assert kinds == {
        "MailboxService.SetMetadata: special use": Kind.DENIED,
        "MessageService.Append: across": Kind.UNSUPPORTED,
        "MessageService.SearchMany": Kind.NOT_FOUND,
        "UrlService.Authorize": Kind.INVALID,
        "UrlService.ResetKeys": Kind.NOT_FOUND,
    }
    assert await looks(store) == before


async def annotations(store: Callers, person: int, name: str, *entries: str) -> dict[str, bytes]:
    request = mailbox_pb2.GetMetadataRequest(name=name, entries=entries)
    found = await store.mailboxes.GetMetadata(request, metadata=store.ticket(person))
    return {one.entry: one.value for one in found.annotations}


async def test_private_annotations_are_each_persons_own(store: Callers) -> None:
    await prepare(store)
    await share(store, "lrw")
    comments = ("/private/comment", "/shared/comment")
    for person, name, entry, value in (
        (ANN, "Work", "/private/comment", b"Ann's"),
        (ANN, "Work", "/shared/comment", b"from Ann"),
        (BOB, SHARED + "Work", "/private/comment", b"Bob's"),
        (BOB, SHARED + "Work", "/shared/comment", b"from Bob"),
    ):
        request = _annotate(entry, value)
        request.name, request.idempotency_key = name, value
        await store.mailboxes.SetMetadata(request, metadata=store.ticket(person))
    assert await annotations(store, ANN, "Work", *comments) == {
        "/private/comment": b"Ann's",
        "/shared/comment": b"from Bob",
    }
    theirs = {"/private/comment": b"Bob's", "/shared/comment": b"from Bob"}
    assert await annotations(store, BOB, SHARED + "Work", *comments) == theirs
    request = mailbox_pb2.ListRequest(entries=comments)
    listed = await store.mailboxes.List(request, metadata=store.ticket(BOB))
    (work,) = [one for one in listed.mailboxes if one.owner == ANN]
    assert {one.entry: one.value for one in work.annotations} == theirs
    # Without an entry in the ACL nothing is kept for Bob: he may never come back.
    await share(store, "")
    await share(store, "lr")
    assert await annotations(store, BOB, SHARED + "Work", *comments) == {
        "/shared/comment": b"from Bob"
    }


async def test_an_upload_goes_into_another_account(store: Callers) -> None:
    await prepare(store)
    await share(store, "lri")

    async def pieces() -> AsyncIterator[message_pb2.UploadRequest]:
        yield message_pb2.UploadRequest(data=LARGE)

    upload = await store.messages.Upload(pieces(), metadata=store.ticket(BOB))
    request = message_pb2.AppendRequest(
        idempotency_key=b"u",
        name=SHARED + "Work",
        messages=[message_pb2.NewMessage(upload_id=upload.upload_id)],
    )
    appended = await store.messages.Append(request, metadata=store.ticket(BOB))
    assert appended.change.owner == ANN
    work = (await store.open("Work")).mailbox.mailbox_id
    assert await store.content(work, appended.uids[0]) == LARGE


async def test_an_owner_can_not_lock_itself_out(store: Callers) -> None:
    await prepare(store)
    await share(store, ALL, person=ANN)
    for rights in ("", "lr", "lrz"):
        with pytest.raises(PostroomError) as refused:
            await share(store, rights, person=ANN)
        assert refused.value.kind is Kind.INVALID
    acl = await store.mailboxes.GetAcl(
        mailbox_pb2.GetAclRequest(name="Work"), metadata=store.ticket()
    )
    assert [(one.identifier, one.rights) for one in acl.entries] == [("account7@example.org", ALL)]


async def test_flags_change_as_far_as_the_rights_go(store: Callers) -> None:
    work = await prepare(store)
    await share(store, "lrs")
    modes = message_pb2.StoreFlagsRequest
    for mode, flags, mask in (
        (modes.MODE_ADD, ["\\Seen", "\\Flagged", "$Work"], 8 | 1),
        (modes.MODE_REPLACE, ["\\Flagged"], 8),
        (modes.MODE_REPLACE, ["\\Seen", "\\Answered"], 8 | 1),
        (modes.MODE_REMOVE, ["\\Seen", "\\Deleted"], 8),
    ):
        request = _store("")(ANN, work)
        request.idempotency_key = f"{mode}{flags}".encode()
        request.mode = mode
        request.flags[:] = flags
        stored = await store.messages.StoreFlags(request, metadata=store.ticket(BOB))
        assert list(stored.change.flagged.flags) == [mask]
        assert stored.change.owner == ANN
    assert list((await store.open("Work")).mailbox.keywords) == []


async def test_what_is_appended_keeps_the_flags_that_may_be_set(store: Callers) -> None:
    await prepare(store)
    await share(store, "riw")
    request = message_pb2.AppendRequest(
        idempotency_key=b"a",
        name=SHARED + "Work",
        messages=[
            message_pb2.NewMessage(content=HELLO, flags=["\\Deleted", "\\Seen", "\\Draft", "$W"])
        ],
    )
    await store.messages.Append(request, metadata=store.ticket(BOB))
    opened = await store.open("Work")
    assert list(opened.messages.flags) == [8, 16 | 256]


async def test_the_owner_pays(store: Callers) -> None:
    await prepare(store)
    await share(store, "ri")
    append = message_pb2.AppendRequest(
        idempotency_key=b"a",
        name=SHARED + "Work",
        messages=[message_pb2.NewMessage(content=HELLO)],
        owner_quota=mailbox_pb2.OwnerQuota(bytes=10),
    )
    copy = _copy(SHARED + "Work")(0, 1)
    copy.owner_quota.bytes = 10
    with pytest.raises(PostroomError) as refused:
        await store.messages.Append(append, metadata=store.ticket(BOB))
    assert refused.value.kind is Kind.OVER_QUOTA
    inbox = message_pb2.OpenRequest(name="INBOX")
    opened = [one async for one in store.messages.Open(inbox, metadata=store.ticket(BOB))]
    copy.mailbox_id = opened[0].mailbox.mailbox_id
    with pytest.raises(PostroomError) as refused:
        await store.messages.Copy(copy, metadata=store.ticket(BOB))
    assert refused.value.kind is Kind.OVER_QUOTA
    append.owner_quota.Clear()
    # Bob's own quota doesn't matter there.
    await store.messages.Append(append, metadata=store.ticket(BOB, quota_bytes=1))


async def test_a_move_to_another_account_is_done_once(store: Callers) -> None:
    work = await prepare(store)
    large = message_pb2.AppendRequest(
        idempotency_key=b"l",
        name="Work",
        messages=[
            message_pb2.NewMessage(content=LARGE, flags=["$Work", "\\Seen"], internaldate=86400)
        ],
    )
    await store.messages.Append(large, metadata=store.ticket())
    await share(store, "lrte")
    request = _copy("Archive")(ANN, work)
    first = await store.messages.Move(request, metadata=store.ticket(BOB))
    again = await store.messages.Move(request, metadata=store.ticket(BOB))
    assert first == again
    assert list(first.source_uids) == [1, 2]
    assert (first.source_change.owner, first.target_change.owner) == (ANN, 0)
    assert list((await store.open("Work")).messages.uids) == []
    archive = message_pb2.OpenRequest(name="Archive")
    (opened,) = [one async for one in store.messages.Open(archive, metadata=store.ticket(BOB))]
    assert list(opened.messages.flags) == [8, 1 | 256]
    assert [keyword.name for keyword in opened.mailbox.keywords] == ["$Work"]
    fetch = message_pb2.FetchRequest(
        mailbox_id=opened.mailbox.mailbox_id,
        uids=[message_pb2.UidRange(first=2, last=2)],
        columns=[message_pb2.COLUMN_INTERNALDATE],
        sections=[message_pb2.Section()],
    )
    found = [one async for one in store.messages.Fetch(fetch, metadata=store.ticket(BOB))]
    assert b"".join(piece for one in found for piece in one.sections[0].data) == LARGE
    assert list(found[0].internaldates) == [86400]
    # Found there by its text, too: it is indexed anew.
    assert await _found(store, BOB, opened.mailbox.mailbox_id, "89abcdef") == [2]


async def _found(store: Callers, person: int, mailbox_id: int, text: str) -> list[int]:
    key = message_pb2.SearchKey(text=text)
    request = message_pb2.SearchRequest(mailbox_id=mailbox_id, key=key)
    answers = [one async for one in store.messages.Search(request, metadata=store.ticket(person))]
    return [uid for one in answers for uid in one.uids]


async def test_a_move_that_was_cut_off_goes_on(store: Callers) -> None:
    """The copies are there, the messages too; the repeat takes those away and copies nothing."""
    work = await prepare(store)
    await share(store, "lr")
    request = _copy("Archive")(ANN, work)
    copied = await store.messages.Copy(request, metadata=store.ticket(BOB))
    await share(store, "lrte")
    moved = await store.messages.Move(request, metadata=store.ticket(BOB))
    assert moved.target_uids == copied.target_uids
    assert list(moved.source_change.expunged) == [1]
    archive = message_pb2.OpenRequest(name="Archive")
    (opened,) = [one async for one in store.messages.Open(archive, metadata=store.ticket(BOB))]
    assert list(opened.messages.uids) == [1]


async def test_one_key_of_two_people_is_two_keys(store: Callers) -> None:
    await prepare(store)
    await share(store, "ri")
    await share(store, "ri", person=EVE)
    request = message_pb2.AppendRequest(
        idempotency_key=b"same",
        name=SHARED + "Work",
        messages=[message_pb2.NewMessage(content=HELLO)],
    )
    own = message_pb2.AppendRequest(
        idempotency_key=b"same", name="Work", messages=[message_pb2.NewMessage(content=HELLO)]
    )
    uids = [
        (await store.messages.Append(one, metadata=store.ticket(person))).uids[0]
        for person, one in ((ANN, own), (BOB, request), (EVE, request), (BOB, request))
    ]
    assert uids == [2, 3, 4, 3]


async def test_new_mailboxes_inherit_and_removed_ones_forget(store: Callers) -> None:
    await prepare(store)
    await share(store, "lrkx")
    create = mailbox_pb2.CreateRequest(idempotency_key=b"1", name=SHARED + "Work/a/b")
    made = await store.mailboxes.Create(create, metadata=store.ticket(BOB))
    assert (made.name, made.rights, made.owner) == (SHARED + "Work/a/b", "lrkx", ANN)
    assert await names(store) == ["Work", "Work/a", "Work/a/b"]
    delete = mailbox_pb2.DeleteRequest(idempotency_key=b"2", name="Work/a/b")
    await store.mailboxes.Delete(delete, metadata=store.ticket())
    again = mailbox_pb2.CreateRequest(idempotency_key=b"3", name="Elsewhere/b")
    await store.mailboxes.Create(again, metadata=store.ticket())
    rename = mailbox_pb2.RenameRequest(
        idempotency_key=b"4", name="Elsewhere/b", new_name="Work/a/b"
    )
    await store.mailboxes.Rename(rename, metadata=store.ticket())
    # A rename changes no ACL: what comes below a shared mailbox so is not shared.
    assert await names(store) == ["Work", "Work/a"]
    rename = mailbox_pb2.RenameRequest(idempotency_key=b"5", name="Work", new_name="Play")
    await store.mailboxes.Rename(rename, metadata=store.ticket())
    assert await names(store) == ["Play", "Play/a"]


async def names(store: Callers, person: int = BOB) -> list[str]:
    listed = await store.mailboxes.List(mailbox_pb2.ListRequest(), metadata=store.ticket(person))
    return [one.name.removeprefix(SHARED) for one in listed.mailboxes if one.owner]


async def test_a_watcher_is_told_of_new_rights_and_dropped_without_any(store: Callers) -> None:
    work = await prepare(store)
    await share(store, "lrs")
    stream = store.changes.Watch()  # type: ignore[call-arg]
    opened = await store.open("Work")
    add = change_pb2.WatchRequest.Add(
        ticket=store.certificates.ticket(BOB),
        mailbox_id=work,
        owner=ANN,
        since=opened.mailbox.highest_modseq,
    )
    await stream.write(change_pb2.WatchRequest(add=add))
    await share(store, "lr")
    async with asyncio.timeout(30):
        while not (heard := await stream.read()).changes:
            pass
    assert [one.change.rights_changed for one in heard.changes] == [True]
    await share(store, "l")
    async with asyncio.timeout(30):
        heard = await stream.read()
    assert [(one.kind, one.account_id, one.mailbox_id) for one in heard.refusals] == [
        ("DENIED", ANN, work)
    ]
    assert not heard.changes
    stream.cancel()


async def test_a_purge_leaves_no_rights_behind(store: Callers) -> None:
    await prepare(store)
    await share(store, "lr")
    await share(store, "lr", person=EVE)
    await store.admin.PurgeAccount(admin_pb2.PurgeAccountRequest(account_id=BOB))
    acl = await store.mailboxes.GetAcl(
        mailbox_pb2.GetAclRequest(name="Work"), metadata=store.ticket()
    )
    assert [one.account_id for one in acl.entries] == [ANN, EVE]
    assert await names(store, EVE) == ["Work"]
    await store.admin.PurgeAccount(admin_pb2.PurgeAccountRequest(account_id=ANN))
    assert await names(store, EVE) == []
    create = mailbox_pb2.CreateRequest(idempotency_key=b"k", name=SHARED + "Work/new")
    with pytest.raises(PostroomError) as refused:
        await store.mailboxes.Create(create, metadata=store.ticket(EVE))
    assert refused.value.kind is Kind.NOT_FOUND
    usage = await store.admin.Usage(admin_pb2.UsageRequest())
    assert ANN not in [one.account_id for one in usage.accounts]


async def test_an_acl_is_the_first_thing_of_an_account(store: Callers) -> None:
    """Nothing was ever done in it: its INBOX is made for the call."""
    newcomer = 4711
    request = mailbox_pb2.SetAclRequest(
        idempotency_key=b"k",
        name="INBOX",
        identifier="account8@example.org",
        account_id=BOB,
        mode=mailbox_pb2.SetAclRequest.MODE_REPLACE,
        rights="lr",
    )
    await store.mailboxes.SetAcl(request, metadata=store.ticket(newcomer))
    rights = mailbox_pb2.MyRightsRequest(name="Other Users/account4711@example.org/INBOX")
    answer = await store.mailboxes.MyRights(rights, metadata=store.ticket(BOB))
    assert answer.rights == "lr"
