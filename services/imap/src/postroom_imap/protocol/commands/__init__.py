"""Every command as a value; ``Command`` is their union."""

from typing import TypeAlias

from postroom_imap.protocol.commands.acl import DeleteAcl, GetAcl, ListRights, MyRights, SetAcl
from postroom_imap.protocol.commands.annotation import (
    AnnotationColumn,
    AnnotationItem,
    AnnotationSetting,
)
from postroom_imap.protocol.commands.append import Append, Literal, Replace
from postroom_imap.protocol.commands.fetch import (
    BodySection,
    Fetch,
    FetchAttribute,
    FetchItem,
    FetchItems,
    Partial,
    SectionForm,
    SectionText,
)
from postroom_imap.protocol.commands.listing import List, Lsub, ReturnOption, SelectionOption
from postroom_imap.protocol.commands.mailboxes import (
    Create,
    Delete,
    Examine,
    Rename,
    Select,
    Status,
    StatusItem,
    Subscribe,
    Unsubscribe,
)
from postroom_imap.protocol.commands.messages import (
    Check,
    Close,
    Copy,
    Expunge,
    Move,
    Store,
    StoreMode,
    UidBatches,
    UidExpunge,
    Unselect,
)
from postroom_imap.protocol.commands.metadata import GetMetadata, SetMetadata
from postroom_imap.protocol.commands.multisearch import MultiSearch
from postroom_imap.protocol.commands.notify import Notify
from postroom_imap.protocol.commands.quota import GetQuota, GetQuotaRoot, SetQuota
from postroom_imap.protocol.commands.search import CancelUpdate, Search
from postroom_imap.protocol.commands.session import (
    Authenticate,
    Capability,
    Comparator,
    Compress,
    Enable,
    Id,
    Idle,
    Language,
    Login,
    Logout,
    Namespace,
    Noop,
    StartTls,
    Unauthenticate,
)
from postroom_imap.protocol.commands.sorting import Sort, Thread
from postroom_imap.protocol.commands.urlauth import GenUrlAuth, ResetKey, UrlFetch

Command: TypeAlias = (
    Append
    | Authenticate
    | CancelUpdate
    | Capability
    | Check
    | Close
    | Comparator
    | Compress
    | Copy
    | Create
    | Delete
    | DeleteAcl
    | Enable
    | Examine
    | Expunge
    | Fetch
    | GetAcl
    | GenUrlAuth
    | GetMetadata
    | GetQuota
    | GetQuotaRoot
    | Id
    | Idle
    | Language
    | List
    | ListRights
    | Login
    | Logout
    | Lsub
    | Move
    | MultiSearch
    | MyRights
    | Namespace
    | Noop
    | Notify
    | Rename
    | Replace
    | ResetKey
    | Search
    | Select
    | SetAcl
    | SetMetadata
    | SetQuota
    | Sort
    | StartTls
    | Status
    | Store
    | Subscribe
    | Thread
    | UidBatches
    | UidExpunge
    | Unauthenticate
    | Unselect
    | UrlFetch
    | Unsubscribe
)

__all__ = [
    "AnnotationColumn",
    "AnnotationItem",
    "AnnotationSetting",
    "Append",
    "Authenticate",
    "BodySection",
    "CancelUpdate",
    "Capability",
    "Check",
    "Close",
    "Command",
    "Comparator",
    "Compress",
    "Copy",
    "Create",
    "Delete",
    "DeleteAcl",
    "Enable",
    "Examine",
    "Expunge",
    "Fetch",
    "FetchAttribute",
    "FetchItem",
    "FetchItems",
    "GenUrlAuth",
    "GetAcl",
    "GetMetadata",
    "GetQuota",
    "GetQuotaRoot",
    "Id",
    "Idle",
    "Language",
    "List",
    "ListRights",
    "Literal",
    "Login",
    "Logout",
    "Lsub",
    "Move",
    "MultiSearch",
    "MyRights",
    "Namespace",
    "Noop",
    "Notify",
    "Partial",
    "Rename",
    "Replace",
    "ResetKey",
    "ReturnOption",
    "Search",
    "SectionForm",
    "SectionText",
    "Select",
    "SelectionOption",
    "SetAcl",
    "SetMetadata",
    "SetQuota",
    "Sort",
    "StartTls",
    "Status",
    "StatusItem",
    "Store",
    "StoreMode",
    "Subscribe",
    "Thread",
    "UidBatches",
    "UidExpunge",
    "Unauthenticate",
    "Unselect",
    "Unsubscribe",
    "UrlFetch",
]
