"""What each command does: one table from command to handler, one file a command or family.

A handler is `async (session, tag, command)`: it checks, calls a port, writes. Which command is
legal in which state, the grammar's own table says (`protocol.table`).
"""

from __future__ import annotations

from postroom_imap.commands.acl import delete_acl, get_acl, list_rights, my_rights, set_acl
from postroom_imap.commands.append import append, replace
from postroom_imap.commands.authenticate import authenticate
from postroom_imap.commands.cancel_update import cancel_update
from postroom_imap.commands.capability import capability
from postroom_imap.commands.comparator import comparator
from postroom_imap.commands.compress import compress
from postroom_imap.commands.copy import copy, move
from postroom_imap.commands.enable import enable
from postroom_imap.commands.expunge import close, expunge, uid_expunge
from postroom_imap.commands.fetch import fetch
from postroom_imap.commands.identify import identify
from postroom_imap.commands.idle import idle
from postroom_imap.commands.language import language
from postroom_imap.commands.list import list_, lsub
from postroom_imap.commands.login import login
from postroom_imap.commands.logout import logout
from postroom_imap.commands.mailboxes import create, delete, rename, subscribe, unsubscribe
from postroom_imap.commands.metadata import get_metadata, set_metadata
from postroom_imap.commands.multisearch import multi_search
from postroom_imap.commands.namespace import namespace
from postroom_imap.commands.noop import check, noop
from postroom_imap.commands.notify import notify
from postroom_imap.commands.quota import get_quota, get_quota_root, set_quota
from postroom_imap.commands.search import search
from postroom_imap.commands.select import select, unselect
from postroom_imap.commands.sort import sort, thread
from postroom_imap.commands.starttls import starttls
from postroom_imap.commands.status import status
from postroom_imap.commands.store import store
from postroom_imap.commands.uid_batches import uid_batches
from postroom_imap.commands.unauthenticate import unauthenticate
from postroom_imap.commands.urlauth import gen_url_auth, reset_key, url_fetch
from postroom_imap.protocol import commands as grammar
from postroom_imap.session import Handler

HANDLERS: dict[type[grammar.Command], Handler] = {
    grammar.Append: append,
    grammar.Authenticate: authenticate,
    grammar.CancelUpdate: cancel_update,
    grammar.Capability: capability,
    grammar.Check: check,
    grammar.Close: close,
    grammar.Comparator: comparator,
    grammar.Compress: compress,
    grammar.Copy: copy,
    grammar.Create: create,
    grammar.Delete: delete,
    grammar.DeleteAcl: delete_acl,
    grammar.Enable: enable,
    grammar.Examine: select,
    grammar.Expunge: expunge,
    grammar.Fetch: fetch,
    grammar.GenUrlAuth: gen_url_auth,
    grammar.GetAcl: get_acl,
    grammar.GetMetadata: get_metadata,
    grammar.GetQuota: get_quota,
    grammar.GetQuotaRoot: get_quota_root,
    grammar.Id: identify,
    grammar.Idle: idle,
    grammar.Language: language,
    grammar.List: list_,
    grammar.ListRights: list_rights,
    grammar.Login: login,
    grammar.Logout: logout,
    grammar.Lsub: lsub,
    grammar.Move: move,
    grammar.MultiSearch: multi_search,
    grammar.MyRights: my_rights,
    grammar.Namespace: namespace,
    grammar.Noop: noop,
    grammar.Notify: notify,
    grammar.Rename: rename,
    grammar.Replace: replace,
    grammar.ResetKey: reset_key,
    grammar.Search: search,
    grammar.Select: select,
    grammar.SetAcl: set_acl,
    grammar.SetMetadata: set_metadata,
    grammar.SetQuota: set_quota,
    grammar.Sort: sort,
    grammar.StartTls: starttls,
    grammar.Status: status,
    grammar.Store: store,
    grammar.Subscribe: subscribe,
    grammar.UidBatches: uid_batches,
    grammar.UidExpunge: uid_expunge,
    grammar.Thread: thread,
    grammar.Unauthenticate: unauthenticate,
    grammar.Unselect: unselect,
    grammar.Unsubscribe: unsubscribe,
    grammar.UrlFetch: url_fetch,
}
