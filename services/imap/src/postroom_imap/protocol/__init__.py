"""The IMAP grammar, without I/O: bytes in, commands out; facts in, response bytes out.

Nothing here imports asyncio, grpc or a socket. A session drives it like this::

    result = yield from read_command(stream, limits, state, write)     # reading.py
    match result:
        case Request(tag, Fetch(uid=True, sequence_set=wanted, items=items)): ...
        case InvalidCommand():                                         # bad input is a value
            write(result.reply())                                      # and the session goes on,
            if result.fatal: close()                                   # unless it can't

Map:

* ``reading``        ``read_command`` and what follows a command on the wire: the message of
  APPEND, SASL responses, IDLE's DONE. Works on a ``ByteStream``; every read is limited by
  a ``limits.Limits``.
* ``table``          ``COMMANDS``: verb -> legal states, parser, command type. A new command is
  one row.
* ``commands/``      the commands as values, one file per family, each beside its parser:
  ``session`` ``mailboxes`` ``listing`` ``append`` ``messages`` ``fetch`` ``search``;
  ``search_keys`` is the tree that SEARCH asks. ``commands/__init__`` exports all of them.
* ``cursor``         the lexical elements (atom, string, number, list) over one command's bytes.
* ``sequence_set`` ``mailbox_name`` ``mailbox_pattern`` ``flag`` ``date_time`` ``secret`` ``state``
  ``invalid``        the values that commands are made of.
* ``responses/``     functions that return response bytes: ``strings`` (quoted, literal, nstring),
  ``status`` (tagged and untagged OK, NO, BAD, BYE, continuations), ``codes`` (response codes),
  ``mailboxes`` (LIST, LSUB, STATUS, FLAGS, EXISTS, NAMESPACE), ``messages`` (FETCH, SEARCH,
  EXPUNGE).

Types on the way in: tags and wire fragments are ``bytes``; mailbox names, flags, user names and
search texts are ``str`` (decoded from modified UTF-7, ASCII, UTF-8 and the SEARCH charset).

Liberties: a line may end in a bare LF; eight-bit SEARCH strings without CHARSET are read as UTF-8;
the first level of a mailbox name is INBOX in any case, so that ``inbox/x`` lives below INBOX.
"""
