"""The schema. `account_id` leads every primary key; a transaction locks the accounts it touches.

So the tables spread over a distributed PostgreSQL by account, and no transaction needs more than
one place. But for leases of the queue, which go by destination, whoever's the mail is; and what is
known of destinations, and of who sends, is no account's.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

# Names compare by code point, on PostgreSQL too, so that the inferiors of a mailbox are a range.
Name = Text().with_variant(Text(collation="C"), "postgresql")

# One row an account: the counters that order everything in it. `modseq` is taken by every
# transaction that changes anything.
accounts = Table(
    "accounts",
    metadata,
    Column("account_id", BigInteger, primary_key=True, autoincrement=False),
    Column("modseq", BigInteger, nullable=False),
    Column("next_mailbox_id", BigInteger, nullable=False),
    Column("next_email_id", BigInteger, nullable=False),
    Column("uid_validity", BigInteger, nullable=False),
    Column("used_bytes", BigInteger, nullable=False),
    Column("used_messages", BigInteger, nullable=False),
    Column("tree_modseq", BigInteger, nullable=False, server_default="0"),
    Column("annotations_modseq", BigInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
)

mailboxes = Table(
    "mailboxes",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("mailbox_id", BigInteger, nullable=False),
    Column("name", Name, nullable=False),
    Column("selectable", Boolean, nullable=False),
    Column("special_use", SmallInteger, nullable=False),  # bit n: SpecialUse n of the proto
    Column("uid_validity", BigInteger, nullable=False),
    Column("uid_next", BigInteger, nullable=False),
    Column("highest_modseq", BigInteger, nullable=False),
    Column("messages", BigInteger, nullable=False),
    Column("unseen", BigInteger, nullable=False),
    Column("deleted", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    # What was expunged up to this modseq may be forgotten: tombstones go after their grace time.
    Column("forgotten_modseq", BigInteger, nullable=False),
    Column("keywords", Text, nullable=False),  # names in order of number, separated by blanks
    Column("acl_modseq", BigInteger, nullable=False),  # when its ACL last changed; 0: never
    PrimaryKeyConstraint("account_id", "mailbox_id"),
    UniqueConstraint("account_id", "name"),
)

# Annotations (RFC 5464) of mailboxes, and of the server (mailbox 0) as the account has them.
# `holder_id`: whose a private one is; 0: shared. `size` -1: removed, as watchers are still told.
mailbox_annotations = Table(
    "mailbox_annotations",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("mailbox_id", BigInteger, nullable=False),
    Column("holder_id", BigInteger, nullable=False),
    Column("entry", Name, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("account_id", "mailbox_id", "holder_id", "entry"),
)

# Annotations (RFC 5257) of messages. `holder_id`, `size` -1: as with those of mailboxes.
message_annotations = Table(
    "message_annotations",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("mailbox_id", BigInteger, nullable=False),
    Column("uid", BigInteger, nullable=False),
    Column("holder_id", BigInteger, nullable=False),
    Column("entry", Name, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False),
    Column("value", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account_id", "mailbox_id", "uid", "holder_id", "entry"),
)
# `size` is in it so that what an account holds is added up without a look at the values.
Index(
    "message_annotations_changed",
    message_annotations.c.account_id,
    message_annotations.c.mailbox_id,
    message_annotations.c.modseq,
    message_annotations.c.size,
)

# What others may do with a mailbox (RFC 4314): a row a mailbox and account, in the owner's account.
# Nothing else says so.
acl = Table(
    "acl",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("mailbox_id", BigInteger, nullable=False),
    Column("grantee_id", BigInteger, nullable=False),
    Column("identifier", Text, nullable=False),  # the grantee's address
    Column("rights", Text, nullable=False),  # letters, as domain.rights orders them
    PrimaryKeyConstraint("account_id", "mailbox_id", "grantee_id"),
    sqlite_with_rowid=False,
)
Index("acl_grantee", acl.c.account_id, acl.c.grantee_id)

# Whose ACLs an account may be in: where its LIST looks. A hint, written before the row of `acl`
# that makes it true; who reads it asks `acl`.
shares = Table(
    "shares",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("owner_id", BigInteger, nullable=False),
    Column("address", Text, nullable=False),  # the owner's, which the names are made of
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id", "owner_id"),
    sqlite_with_rowid=False,
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("name", Name, nullable=False),
    PrimaryKeyConstraint("account_id", "name"),
)

# A message's content and all that was derived from it at ingest. Immutable; shared by the copies
# of a message.
emails = Table(
    "emails",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("email_id", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("internaldate", BigInteger, nullable=False),
    Column("thread_id", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Column(
        "indexed", SmallInteger, nullable=False
    ),  # 0 not yet, 1 whole, 2 in part (too much text), 3 not at all (no text can be had)
    Column("has_attachment", Boolean, nullable=False),
    Column("base_subject", Text, nullable=False),
    Column(
        "is_reply", Boolean, nullable=False
    ),  # or forward, by its subject (RFC 5256 section 2.1)
    Column("sort_from", Text, nullable=False),
    Column("sort_to", Text, nullable=False),
    Column("sort_cc", Text, nullable=False),
    Column("display_from", Text, nullable=False),
    Column("display_to", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("references", Text, nullable=False),  # separated by blanks, oldest first
    Column("preview", Text, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("bodystructure", LargeBinary, nullable=False),
    Column("structure", LargeBinary, nullable=False),
    Column("header", LargeBinary),  # NULL where it is too long to stand beside the rows
    PrimaryKeyConstraint("account_id", "email_id"),
)
Index(
    "emails_unindexed",
    emails.c.account_id,
    emails.c.email_id,
    sqlite_where=emails.c.indexed == 0,
    postgresql_where=emails.c.indexed == 0,
)

Index(
    "emails_in_part",
    emails.c.account_id,
    emails.c.email_id,
    sqlite_where=emails.c.indexed == 2,
    postgresql_where=emails.c.indexed == 2,
)

# A message in a mailbox.
placements = Table(
    "placements",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("mailbox_id", BigInteger, nullable=False),
    Column("uid", BigInteger, nullable=False),
    Column("email_id", BigInteger, nullable=False),
    Column("flags", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False),
    Column("created_modseq", BigInteger, nullable=False),  # when it came: new to whoever knew less
    Column("size", BigInteger, nullable=False),
    Column("saved_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id", "mailbox_id", "uid"),
    sqlite_with_rowid=False,
)
Index("placements_changed", placements.c.account_id, placements.c.mailbox_id, placements.c.modseq)
Index("placements_email", placements.c.account_id, placements.c.email_id)
# The few messages that are \Deleted, so that what they weigh is told without reading the rest.
IS_DELETED = text("(flags & 8) != 0")
Index(
    "placements_deleted",
    placements.c.account_id,
    placements.c.mailbox_id,
    placements.c.size,
    sqlite_where=IS_DELETED,
    postgresql_where=IS_DELETED,
)

# A message that was expunged: kept for the grace time, and told to clients that come back (RFC
# 7162).
tombstones = Table(
    "tombstones",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("mailbox_id", BigInteger, nullable=False),
    Column("uid", BigInteger, nullable=False),
    Column("email_id", BigInteger, nullable=False),
    Column("flags", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("expunged_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id", "mailbox_id", "uid"),
    sqlite_with_rowid=False,
)
Index("tombstones_changed", tombstones.c.account_id, tombstones.c.mailbox_id, tombstones.c.modseq)
Index("tombstones_email", tombstones.c.account_id, tombstones.c.email_id)
Index("tombstones_age", tombstones.c.expunged_at)

# Contents by the BLAKE2b digest of their plain bytes, zstd-compressed; `data` is NULL where the
# content lies in a file.
blobs = Table(
    "blobs",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("data", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id", "digest"),
)

# Which thread a Message-ID belongs to (RFC 5256, RFC 8474), by 64 bits of its hash.
threads = Table(
    "threads",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("message_hash", BigInteger, nullable=False),
    Column("thread_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id", "message_hash"),
    sqlite_with_rowid=False,
)

# Answers to write calls, so that a repeated call gets the first one.
answers = Table(
    "answers",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id", "key"),
    sqlite_with_rowid=False,
)
Index("answers_age", answers.c.created_at)

uploads = Table(
    "uploads",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("upload_id", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id", "upload_id"),
)

# What the URLs of a mailbox are authorized with (RFC 4467 section 2.2).
url_keys = Table(
    "url_keys",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("mailbox_id", BigInteger, nullable=False),
    Column("key", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account_id", "mailbox_id"),
)

# Who has a mailbox as a maildrop (RFC 1939 section 3).
leases = Table(
    "maildrop_leases",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("mailbox_id", BigInteger, nullable=False),
    Column("lease_id", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id", "mailbox_id"),
)

# Mail that waits to be sent elsewhere: one row a recipient, under the account that submitted it
# (0: none). `next_attempt_at` is when it is due, and a leased entry is due when its lease ends.
queue = Table(
    "queue",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("queue_id", BigInteger, nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("next_attempt_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_reply", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("submission_id", BigInteger, nullable=False, server_default="0"),
    Column("own_sender", Text, nullable=False, server_default=""),
    Column("original", Text, nullable=False, server_default=""),
    Column("notify", SmallInteger, nullable=False, server_default="0"),  # bit n: Notify n
    Column("hold_until", BigInteger, nullable=False, server_default="0"),
    Column("delay_told", Boolean, nullable=False, server_default=text("false")),
    Column("last_host", Text, nullable=False, server_default=""),
    Column("lease_id", LargeBinary),  # the lease that holds it, or that settled it last
    PrimaryKeyConstraint("account_id", "queue_id"),
)
Index("queue_order", queue.c.queue_id)
Index("queue_domain", queue.c.domain, queue.c.queue_id)
Index("queue_submission", queue.c.account_id, queue.c.submission_id)
# Literals: SQLite doesn't use a partial index for a parameter.
IS_NOT_HELD = text("queue.state <> 2")
IS_LEASED = text("queue.state = 3")
# Entries of one message stand together in it.
Index(
    "queue_due",
    queue.c.domain,
    queue.c.next_attempt_at,
    queue.c.submission_id,
    sqlite_where=text("state <> 2"),
    postgresql_where=text("state <> 2"),
)
Index(
    "queue_leased",
    queue.c.lease_id,
    queue.c.next_attempt_at,
    sqlite_where=text("state = 3"),
    postgresql_where=text("state = 3"),
)

# A message of which the queue has entries, or had some: what its sender asked for (as the API
# encodes it) and how it came. Found by 64 bits of the hash of its Message-ID, and of its front's.
submissions = Table(
    "submissions",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("submission_id", BigInteger, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("eight_bit", Boolean, nullable=False),
    Column("message_hash", BigInteger),
    Column("arrival_hash", BigInteger),
    Column("arrival_id", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id", "submission_id"),
)
Index("submissions_message", submissions.c.message_hash)
Index("submissions_arrival", submissions.c.arrival_hash)

# How a message came that was delivered here; found as those of the queue are.
receptions = Table(
    "receptions",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("email_id", BigInteger, nullable=False),
    Column("sender", Text, nullable=False),
    Column("message_hash", BigInteger),
    Column("arrival_hash", BigInteger),
    Column("arrival_id", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id", "email_id"),
)
Index("receptions_message", receptions.c.message_hash)
Index("receptions_arrival", receptions.c.arrival_hash)

# What became of each try to send an entry, kept a while longer than the entry.
attempts = Table(
    "attempts",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("queue_id", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("outcome", SmallInteger, nullable=False),
    Column("reply", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("tls", Text, nullable=False),
    PrimaryKeyConstraint("account_id", "queue_id", "number"),
    sqlite_with_rowid=False,
)

# An entry that has left the queue: what is told of it for as long as attempts are kept.
finished = Table(
    "finished",
    metadata,
    Column("account_id", BigInteger, nullable=False),
    Column("queue_id", BigInteger, nullable=False),
    Column("submission_id", BigInteger, nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    Column("outcome", SmallInteger, nullable=False),  # 0: cancelled
    Column("lease_id", LargeBinary),  # the lease that settled it
    PrimaryKeyConstraint("account_id", "queue_id"),
)
Index("finished_order", finished.c.queue_id)
Index("finished_age", finished.c.account_id, finished.c.finished_at)
Index("finished_submission", finished.c.account_id, finished.c.submission_id)

# Where mail goes, as a whole. Whoever leases locks the row; a destination without one was reached
# when it was last tried, or never was.
destinations = Table(
    "destinations",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("retry_at", BigInteger, nullable=False),
    Column("reply", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)
Index(
    "destinations_failing",
    destinations.c.domain,
    sqlite_where=text("failures > 0"),
    postgresql_where=text("failures > 0"),
)

# What is sent by one worker over one connection. Those that haven't ended count for the limit of
# their domain.
batches = Table(
    "batches",
    metadata,
    Column("lease_id", LargeBinary, primary_key=True),
    Column("domain", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("leased_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),  # of the destination, when it was leased
)
Index("batches_domain", batches.c.domain, batches.c.expires_at)
Index("batches_age", batches.c.expires_at)

# Addresses elsewhere to which nothing is sent, in lower case.
suppressions = Table(
    "suppressions",
    metadata,
    Column("address", Name, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# Who was put off and who came back (RFC 6647), by hashes.
greylist = Table(
    "greylist",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("first_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("passed", Boolean, nullable=False),
    sqlite_with_rowid=False,
)
Index("greylist_age", greylist.c.expires_at)

# How much was counted for whom, by hashes; see domain.rate.
rates = Table(
    "rates",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("seconds", Integer, nullable=False),
    Column("newest", BigInteger, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("rates_age", rates.c.expires_at)
