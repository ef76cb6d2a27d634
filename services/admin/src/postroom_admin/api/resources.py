"""The bodies of requests and responses, as OpenAPI describes them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from postroom_admin.model import Algorithm, KeyState, Outcome, QueueState
from postroom_admin.publishing.judging import Verdict
from postroom_admin.publishing.records import Purpose
from postroom_admin.publishing.rotating import Done
from postroom_admin.tracing import EventKind

T = TypeVar("T")

LONGEST_ADDRESS = 320  # RFC 5321 section 4.5.3.1: 64 for the local part, 255 for the domain
LARGEST = 2**63 - 1
LONGEST_MESSAGE_ID = 1000  # a line of a header (RFC 5322 section 2.1.1)

AddressField = Annotated[str, Field(max_length=LONGEST_ADDRESS, examples=["ann@example.org"])]
DomainField = Annotated[str, Field(min_length=1, max_length=255, examples=["example.org"])]
QuotaField = Annotated[
    int,
    Field(ge=0, le=LARGEST, description="bytes; 0 means unlimited", examples=[2_147_483_648]),
]
DaysField = Annotated[
    int,
    Field(
        ge=0,
        le=36_500,
        description="after how many days read mail goes when a POP3 session ends; 0 means never",
        examples=[30],
    ),
]
DelayField = Annotated[
    int,
    Field(
        ge=0,
        le=86_400,
        description="seconds from one sign-in by POP3 to the next; 0 means none",
        examples=[60],
    ),
]
CountField = Annotated[
    int, Field(ge=0, le=LARGEST, description="0 means unlimited", examples=[100_000])
]
PasswordField = Annotated[
    SecretStr, Field(min_length=1, max_length=1024, examples=["correct horse battery staple"])
]
ACCEPT_WEAK = "take the password even where it is easy to guess"


class Request(BaseModel):
    """A request's body: what it doesn't describe is an error."""

    model_config = ConfigDict(extra="forbid")


class Resource(BaseModel):
    """A response's body, made from a value of the model."""

    model_config = ConfigDict(from_attributes=True)


class Listing(Resource, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_page_token: str = Field(
        "", description="ask for the next page with it as `page_token`; empty: this is the last"
    )


class Tenant(Resource):
    name: str = Field(examples=["default"])


class NewTenant(Request):
    name: str = Field(min_length=1, max_length=255, examples=["school"])


class Domain(Resource):
    name: DomainField
    tenant: str = Field(examples=["default"])
    catch_all: str = Field(
        description="the account that gets mail for addresses nobody has; empty: it is refused"
    )
    accounts: int


class NewDomain(Request):
    name: DomainField
    tenant: str = Field("", max_length=255, description='empty: "default"')


class CatchAll(Request):
    address: AddressField


class Account(Resource):
    account_id: int
    address: AddressField
    tenant: str = Field(examples=["default"])
    display_name: str = Field(examples=["Ann Example"])
    quota_bytes: QuotaField
    disabled: bool
    created_at: datetime
    quota_messages: CountField
    quota_mailboxes: CountField
    administrator: bool = Field(description="may set quotas of the tenant's accounts by IMAP")
    app_passwords_only: bool = Field(description="its own password opens nothing")
    pop3_delete: bool = Field(
        description="what was retrieved by POP3 goes when the session ends with QUIT"
    )
    pop3_days: DaysField
    pop3_login_delay: DelayField


class NewAccount(Request):
    address: AddressField
    password: PasswordField | None = Field(
        None, description="without one nobody can sign in until one is set"
    )
    display_name: str = Field("", max_length=255, examples=["Ann Example"])
    quota_bytes: QuotaField = 0
    accept_weak: bool = Field(False, description=ACCEPT_WEAK)


class AccountChange(Request):
    """What is to change; what is missing stays."""

    display_name: str | None = Field(None, max_length=255, examples=["Ann Example"])
    quota_bytes: QuotaField | None = None
    quota_messages: CountField | None = None
    quota_mailboxes: CountField | None = None
    disabled: bool | None = None
    administrator: bool | None = None
    app_passwords_only: bool | None = None
    pop3_delete: bool | None = None
    pop3_days: DaysField | None = None
    pop3_login_delay: DelayField | None = None


class NewPassword(Request):
    password: PasswordField
    accept_weak: bool = Field(False, description=ACCEPT_WEAK)


class Protocol(StrEnum):
    IMAP = "imap"
    POP3 = "pop3"
    SMTP = "smtp"
    API = "api"


class AppPassword(Resource):
    name: str = Field(examples=["Ann's phone"])
    protocols: list[Protocol]
    networks: list[str] = Field(description="where it may be used; empty: everywhere")
    created_at: datetime
    expires_at: datetime | None = Field(description="null: never")
    used_at: datetime | None = Field(description="give or take a minute; null: never")


class NewAppPassword(Request):
    # Not "." or "..", which clients take out of a path with what is before them (RFC 3986
    # section 5.2.4): to revoke such a one would be to remove the account.
    name: str = Field(min_length=1, max_length=200, pattern=r"[^.]|\.{3}", examples=["Ann's phone"])
    protocols: list[Protocol] = Field(min_length=1, max_length=4)
    networks: list[str] = Field([], max_length=32, examples=[["192.0.2.0/24"]])
    expires_at: datetime | None = Field(None, description="null: never")


class MadeAppPassword(Resource):
    """An app password with its text, which nobody can tell again."""

    app_password: AppPassword
    password: str


class AuditEntry(Resource):
    """How somebody's attempt to sign in ended, or several within a second that were alike."""

    entry_id: int
    at: datetime
    account: str = Field(description="the address that was given; empty: it was none")
    outcome: str = Field(examples=["OK", "UNAUTHENTICATED", "RATE_LIMITED"])
    why: str = Field(description="more than the client was told", examples=["expired"])
    protocol: str
    front: str
    mechanism: str
    credential: str = Field(examples=["password", "app:Ann's phone"])
    client: str = Field(examples=["192.0.2.1"])
    tls_version: str = Field(description="empty: in clear text", examples=["TLSv1.3"])
    times: int


class Standing(Resource):
    """Whether somebody can sign in to an account now."""

    address: AddressField
    disabled: bool
    locked: bool = Field(description="by an administrator")
    locked_until: datetime | None = Field(description="null: until it is unlocked")
    failures: int = Field(description="of late, from networks that are strange to the account")
    waits_until: datetime | None = Field(description="before that attempts from there are refused")
    locked_by_failures: bool
    app_passwords: int
    last_success: AuditEntry | None


class Lock(Request):
    until: datetime | None = Field(None, description="null: until it is unlocked")


class Quota(Resource):
    quota_bytes: QuotaField
    quota_messages: CountField
    quota_mailboxes: CountField
    bytes: int = Field(description="what the account keeps", examples=[734_003_200])
    messages: int
    mailboxes: int


class NewQuota(Request):
    """What may be kept; what is missing stays."""

    quota_bytes: QuotaField | None = None
    quota_messages: CountField | None = None
    quota_mailboxes: CountField | None = None


class Secret(Resource):
    """A secret that an account shares with a client, for one mechanism."""

    secret_id: int
    kind: str = Field(description="`apop`, `cram-md5` or `rpop`", examples=["apop"])
    networks: list[str] = Field(
        description="whose clients may use it; empty: all", examples=[["192.0.2.0/24"]]
    )
    created_at: datetime


class NewSecret(Request):
    kind: str = Field(max_length=20, examples=["apop"])
    networks: list[Annotated[str, Field(max_length=50)]] = Field([], max_length=20)


class MadeSecret(Secret):
    text: str = Field(
        description="what the client is given; it is not told again",
        examples=["abcde-fghij-kmnpq-rstuv-wxyz2"],
    )


class Alias(Resource):
    address: AddressField
    targets: list[str] = Field(examples=[["ann@example.org", "ben@example.net"]])


class NewAlias(Request):
    address: AddressField
    targets: list[AddressField] = Field(min_length=1, max_length=1000)


class AliasChange(Request):
    added: list[AddressField] = Field([], max_length=1000)
    removed: list[AddressField] = Field([], max_length=1000)


class QueueEntry(Resource):
    """One recipient of a message that waits to be sent elsewhere."""

    queue_id: int
    account_id: int = Field(description="who submitted it; 0: a trusted network")
    sender: str = Field(description="reverse-path; empty: the null sender")
    recipient: str
    state: QueueState
    size: int = Field(description="bytes")
    created_at: datetime
    next_attempt_at: datetime
    attempts: int = Field(description="how often it was tried")
    last_reply: str = Field(
        description="why it waits: what the other server said last, or what went wrong here",
        examples=["451 4.7.1 Greylisted, try again later"],
    )
    message_id: str
    last_host: str = Field(description="whose reply that is; empty: nobody's")


class Attempt(Resource):
    """One try to send an entry."""

    at: datetime
    outcome: Outcome
    reply: str = Field(description="the peer's, or what went wrong here")
    host: str = Field(description="name and address; empty: none was reached")
    tls: str = Field(
        description="version and policy; empty: in clear text", examples=["TLSv1.3 dane"]
    )


class ShownEntry(QueueEntry):
    """An entry and every attempt to send it that is known."""

    tries: list[Attempt] = Field(description="oldest first")


class QueueChange(Request):
    """Which entries: those that are named, or all for a domain, or all."""

    queue_ids: list[Annotated[int, Field(ge=1, le=LARGEST)]] | None = Field(
        None, min_length=1, max_length=1000, examples=[[17, 18]]
    )
    domain: str | None = Field(None, min_length=1, max_length=255, examples=["example.com"])
    all: Literal[True] | None = Field(None, description="so that nobody means another")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if sum(one is not None for one in (self.queue_ids, self.domain, self.all)) != 1:
            raise ValueError("give one of queue_ids, domain and all")
        return self


class Changed(Resource):
    changed: int
    passed_over: int = Field(description="of a domain or of all: those that were being sent")


class DomainSummary(Resource):
    """The mail that waits for one domain."""

    domain: DomainField
    waiting: int
    held: int
    sending: int
    oldest: datetime
    retry_at: datetime | None = Field(
        description="it wasn't reached, and is left alone until then; null: it isn't"
    )
    last_reply: str = Field(description="of the domain as a whole")


class QueueSummary(Resource):
    domains: list[DomainSummary] = Field(description="at most 1,000")
    total: int = Field(description="entries for all domains")


class Suppression(Resource):
    """An address elsewhere to which nothing is sent."""

    address: AddressField
    reason: str
    created_at: datetime


class NewSuppression(Request):
    reason: str = Field("", max_length=500, examples=["complained"])


class Event(Resource):
    """Something that became of a message."""

    at: datetime | None = Field(description="null: how it is now")
    kind: EventKind
    who: str = Field(description="the recipient that it concerns; empty: all")
    what: str


class Life(Resource):
    """All that is known of the messages with one id."""

    message_id: str
    events: list[Event]


class DkimKey(Resource):
    """A key that mail of a domain is signed with: not what it is."""

    domain: DomainField
    selector: str = Field(examples=["rsa-20300102"])
    algorithm: str = Field(examples=["rsa-sha256", "ed25519-sha256"])
    state: KeyState
    record: str = Field(
        description="the text of the TXT record at SELECTOR._domainkey.DOMAIN",
        examples=["v=DKIM1; k=rsa; p=..."],
    )
    created_at: datetime
    retired_at: datetime | None


class NewDkimKey(Request):
    algorithm: Algorithm = Algorithm.RSA
    selector: str = Field("", max_length=63, description="empty: one is made of algorithm and date")
    bits: int = Field(0, ge=0, le=4096, description="of an RSA key, from 1024; 0: 2048")


class DkimRotation(Request):
    older_than_days: int = Field(0, ge=0, le=36_500, description="younger keys stay")
    bits: int = Field(0, ge=0, le=4096, description="of a new RSA key; 0: 2048")


class DkimStep(Resource):
    """What became of the keys of one algorithm."""

    done: Done = Field(
        description="`made`: publish the record and ask again; `waiting`: its record isn't"
        " published yet; `activated`: it signs now; `kept`: it is young enough"
    )
    key: DkimKey
    replaced: str = Field(description="the selector that signed before; empty: none did")


class DnsRecord(Resource):
    """A record that a domain is to publish."""

    purpose: Purpose
    name: str = Field(examples=["_dmarc.example.org"])
    kind: str = Field(examples=["TXT"])
    value: str = Field(description="as in a zone file; of a TXT its text")
    line: str = Field(description="the record in a zone file")
    why: str
    needed: bool = Field(description="without it mail is lost, refused or not believed")


class DnsRecords(Resource):
    records: list[DnsRecord]
    sts_policy: str = Field(
        description="the text of https://mta-sts.DOMAIN/.well-known/mta-sts.txt (RFC 8461)"
    )


class DnsFinding(Resource):
    """What is published at a name, held against what is to be."""

    purpose: Purpose
    name: str
    kind: str
    verdict: Verdict
    wanted: list[str]
    published: list[str]
    needed: bool
    good: bool = Field(description="nothing has to be done")
    next: str = Field(description="what to do; empty: nothing")


class DnsFindings(Resource):
    findings: list[DnsFinding]
    good: bool = Field(description="all that is needed is published")


class Usage(Resource):
    account_id: int
    messages: int
    bytes: int
    mailboxes: int
