"""Annotations of messages over the RPC: who sees which, and who is told of what."""

from __future__ import annotations

import asyncio

import pytest
from postroom.store.v1 import change_pb2, mailbox_pb2, message_pb2
from postroom_chassis.errors import Kind, PostroomError

from .conftest import ANN, Callers
from .test_sharing import BOB, EVERYTHING, HELLO, SHARED, prepare, share

TWO_PARTS = (
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    + b"--x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n--x--\r\n"
)
NOTE = message_pb2.NewAnnotation

pytestmark = pytest.mark.parametrize("blobs", ["sql"], indirect=True)


async def annotate(
    store: Callers,
    mailbox_id: int,
    *notes: message_pb2.NewAnnotation,
    person: int = ANN,
    key: bytes = b"",
) -> message_pb2.StoreAnnotationsResponse:
    request = message_pb2.StoreAnnotationsRequest(
        idempotency_key=key or b"%d" % hash((person, str(notes))),
        mailbox_id=mailbox_id,
        owner=ANN,
        uids=EVERYTHING,
        annotations=notes,
    )
    return await store.messages.StoreAnnotations(request, metadata=store.ticket(person))


async def told(
    store: Callers, mailbox_id: int, *patterns: str, person: int = ANN, owner: int = ANN
) -> list[list[tuple[str, bool, bytes]]]:
    """Of each message its annotations: name, whether it is shared, value."""
    request = message_pb2.FetchRequest(
        mailbox_id=mailbox_id, owner=owner, uids=EVERYTHING, annotations=patterns or ["*"]
    )
    found: list[list[tuple[str, bool, bytes]]] = []
    async for response in store.messages.Fetch(request, metadata=store.ticket(person)):
        columns = response.annotations
        names = (columns.names[place] for place in columns.entries)
        each = zip(names, columns.shared, columns.values, strict=True)
        found += [[next(each) for _ in range(count)] for count in columns.counts]
    return found


async def test_set_and_fetch(store: Callers) -> None:
    work = await prepare(store)
    notes = [
        NOTE(entry="/comment", value=b"mine\0"),
        NOTE(entry="/comment", shared=True, value=b""),
    ]
    answer = await annotate(store, work, *notes, key=b"one")
    assert list(answer.change.flagged.uids) == [1]
    assert list(answer.change.flagged.flags) == [8]
    assert list(answer.change.annotated.names) == ["/comment"]
    assert list(answer.change.annotated.holders) == [ANN, 0]
    assert await annotate(store, work, *notes, key=b"one") == answer  # a repeat
    # Shared before private: holders are in order.
    assert await told(store, work) == [[("/comment", True, b""), ("/comment", False, b"mine\0")]]
    assert await told(store, work, "/altsubject") == [[]]
    assert (await store.open("Work")).messages.modseqs[0] == answer.change.modseq


async def test_bad_requests(store: Callers) -> None:
    work = await prepare(store)
    twice = NOTE(entry="/comment", value=b"x")
    for notes, kind in (
        ([NOTE(entry="/odd", value=b"x")], Kind.INVALID),
        ([NOTE(entry="/2/comment", value=b"x")], Kind.INVALID),
        ([NOTE(entry="/1.1/comment", value=b"x")], Kind.INVALID),
        ([twice, twice], Kind.INVALID),
        ([NOTE(entry=f"/vendor/x/{number}") for number in range(101)], Kind.INVALID),
        ([NOTE(entry="/comment", value=b"x" * 65_537)], Kind.TOO_LARGE),
    ):
        with pytest.raises(PostroomError) as refused:
            await annotate(store, work, *notes)
        assert refused.value.kind is kind
    for patterns in (["*"] * 101, ["/ä"], ["x" * 1001]):
        with pytest.raises(PostroomError) as refused:
            await told(store, work, *patterns)
        assert refused.value.kind is Kind.INVALID
    assert await told(store, work) == [[]]


async def test_parts_are_there(store: Callers) -> None:
    work = await prepare(store)
    flag = NOTE(entry="/2/flags/seen", value=b"1")

    async def append(content: bytes, note: message_pb2.NewAnnotation) -> message_pb2.AppendResponse:
        request = message_pb2.AppendRequest(
            idempotency_key=b"%d" % hash((content, note.entry)),
            name="Drafts",
            messages=[message_pb2.NewMessage(content=content, annotations=[note])],
        )
        return await store.messages.Append(request, metadata=store.ticket())

    for content, note in ((HELLO, flag), (TWO_PARTS, NOTE(entry="/3/comment", value=b"x"))):
        with pytest.raises(PostroomError) as refused:
            await append(content, note)
        assert refused.value.kind is Kind.INVALID
    appended = await append(TWO_PARTS, flag)
    drafts = appended.change.mailbox_id
    assert await told(store, drafts) == [[("/2/flags/seen", False, b"1")]]
    await annotate(store, work, NOTE(entry="/1/comment", value=b"the text"))
    assert await told(store, work) == [[("/1/comment", False, b"the text")]]


async def test_a_guest_has_its_own(store: Callers) -> None:
    work = await prepare(store)
    await share(store, "lrn")
    await annotate(store, work, NOTE(entry="/comment", value=b"Ann's"))
    await annotate(store, work, NOTE(entry="/comment", value=b"Bob's"), person=BOB)
    await annotate(store, work, NOTE(entry="/comment", shared=True, value=b"all's"), person=BOB)
    assert await told(store, work) == [
        [("/comment", True, b"all's"), ("/comment", False, b"Ann's")]
    ]
    assert await told(store, work, person=BOB) == [
        [("/comment", True, b"all's"), ("/comment", False, b"Bob's")]
    ]


async def test_copies_into_another_account(store: Callers) -> None:
    """Private annotations go along where "r" is, shared ones where "n" is, others' never."""
    work = await prepare(store)
    await share(store, "lri")
    await annotate(store, work, NOTE(entry="/comment", value=b"Ann's"))
    await annotate(store, work, NOTE(entry="/comment", value=b"Bob's"), person=BOB)
    await annotate(store, work, NOTE(entry="/comment", shared=True, value=b"all's"))

    async def copy(mailbox_id: int, owner: int, target: str) -> None:
        request = message_pb2.CopyRequest(
            idempotency_key=target.encode(),
            mailbox_id=mailbox_id,
            owner=owner,
            uids=EVERYTHING,
            target=target,
        )
        await store.messages.Copy(request, metadata=store.ticket(BOB))

    await copy(work, ANN, "Archive")
    opened = message_pb2.OpenRequest(name="Archive")
    (archive,) = [one async for one in store.messages.Open(opened, metadata=store.ticket(BOB))]
    both = [[("/comment", True, b"all's"), ("/comment", False, b"Bob's")]]
    mailbox_id = archive.mailbox.mailbox_id
    assert await told(store, mailbox_id, person=BOB, owner=BOB) == both
    await copy(mailbox_id, BOB, SHARED + "Work")  # without "n"
    assert await told(store, work, person=BOB) == [both[0], [("/comment", False, b"Bob's")]]


async def test_who_watches_is_told_of_what_it_sees(store: Callers) -> None:
    work = await prepare(store)
    await share(store, "lrn")
    since = (await store.open("Work")).mailbox.highest_modseq
    streams = []
    for person in (ANN, BOB):
        stream = store.changes.Watch()  # type: ignore[call-arg]
        ticket = store.certificates.ticket(person)
        add = change_pb2.WatchRequest.Add(
            ticket=ticket, mailbox_id=work, owner=ANN, since=since, account_id=person
        )
        await stream.write(change_pb2.WatchRequest(add=add))
        streams.append(stream)
    async with asyncio.timeout(30):
        for stream in streams:
            assert (await stream.read()).watching
        await annotate(store, work, NOTE(entry="/comment", value=b"Ann's"))
        shared = NOTE(entry="/altsubject", shared=True, value=b"x")
        last = (await annotate(store, work, shared)).change.modseq
        found = []
        for stream in streams:
            names: list[tuple[str, int]] = []
            modseq = 0
            while modseq < last:
                for told_ in (await stream.read()).changes:
                    modseq = told_.change.modseq
                    annotated = told_.change.annotated
                    entries = (annotated.names[place] for place in annotated.entries)
                    names += zip(entries, annotated.holders, strict=True)
                    assert set(told_.change.flagged.uids) == {1}
            found.append(names)
            stream.cancel()
    assert found == [[("/comment", ANN), ("/altsubject", 0)], [("/altsubject", 0)]]


async def test_search_and_sort(store: Callers) -> None:
    work = await prepare(store)
    await share(store, "lr")
    await annotate(store, work, NOTE(entry="/comment", value=b"Ann's"))
    key = message_pb2.SearchKey(
        annotation=message_pb2.SearchKey.Annotation(entry="/%", own=True, shared=True, value="ANN")
    )
    by = [message_pb2.SortAnnotation(entry="/comment")]
    for person, uids in ((ANN, [1]), (BOB, [])):
        request = message_pb2.SearchRequest(mailbox_id=work, owner=ANN, key=key, annotations=by)
        answers = store.messages.Search(request, metadata=store.ticket(person))
        found = [one async for one in answers]
        assert [uid for one in found for uid in one.uids] == uids
        texts = [text for one in found for column in one.annotations for text in column.texts]
        assert texts == ["ANN'S"][: len(uids)]
    for refused in (
        message_pb2.SearchRequest(mailbox_id=work, key=key, annotations=by * 21),
        message_pb2.SearchRequest(
            mailbox_id=work, key=key, annotations=[message_pb2.SortAnnotation(entry="/%")]
        ),
    ):
        with pytest.raises(PostroomError) as error:
            _ = [one async for one in store.messages.Search(refused, metadata=store.ticket())]
        assert error.value.kind is Kind.INVALID


async def test_a_right_that_an_acl_can_have(store: Callers) -> None:
    await prepare(store)
    await share(store, "nlra")
    acl = await store.mailboxes.GetAcl(
        mailbox_pb2.GetAclRequest(name="Work"), metadata=store.ticket()
    )
    assert [one.rights for one in acl.entries] == ["lrswipkxtean", "lran"]
