"""Bounds on what one message may cost, each with its reason.

A message that meets a bound is still kept byte for byte: what lies beyond stays an opaque leaf, an
unread field or unindexed text.
"""

from typing import Final

# Real mail nests a dozen levels at most (forwards of forwards); twice the recursion of this
# still fits Python's default stack several times.
DEPTH: Final = 100

# The largest digests hold a few thousand messages; a part costs about 10 µs and 100 bytes.
PARTS: Final = 10_000

# Long chains of Received and ARC fields stay under 300.
FIELDS: Final = 1_000

# Only so much of a header block is parsed. 256 KiB holds a To field with 5,000 addresses.
HEADER_BYTES: Final = 256 * 1024

# RFC 2046 section 5.1.1 allows 70 characters; broken software makes longer ones.
BOUNDARY_BYTES: Final = 1_000

# Lines that start like a delimiter and are none: each is looked at in Python, not in C.
FALSE_DELIMITERS: Final = 100_000

# Every multipart is searched for its own boundary, so nested ones are searched once per level.
# The sum of all searches is bounded by this many times the message, or by WORK_FLOOR.
SEARCHES_OF_MESSAGE: Final = 16
WORK_FLOOR: Final = 4 * 1024 * 1024

# Parameters of one Content-Type or Content-Disposition, languages of one Content-Language.
PARAMS: Final = 100

# Addresses rendered of one field; clients show a few dozen.
ADDRESSES: Final = 1_000

# The headers of all parts together. They come back in structure and BODYSTRUCTURE, longer than they
# were: a digest of a thousand messages fits, a message that is all headers does not fill the disk.
PART_HEADERS_BYTES: Final = 4 * 1024 * 1024

# Bytes read of one address field: that number of addresses of a generous length.
ADDRESS_BYTES: Final = 100 * ADDRESSES

# Words, blanks and signs read of one address field: ten for each address, nearly all of which are
# read in one piece anyway. A field of nothing but commas would take a second otherwise.
ADDRESS_TOKENS: Final = 10 * ADDRESSES

# Bytes of a Message-ID: 998 fit on a line, but PostgreSQL refuses index entries over 2,704 bytes,
# and a byte that is no UTF-8 becomes three.
ID_BYTES: Final = 800

# Message-IDs kept of one References field; threads that are longer keep their root and the latest.
REFERENCES: Final = 256

# A quoted string longer than this goes out as a literal: clients read lines into fixed buffers.
QUOTED_BYTES: Final = 4_096

# Characters of a preview, as many as RFC 8970 section 3.1 wants at most.
PREVIEW: Final = 200

# Text parts looked at for one: the first that shows anything is nearly always the first.
PREVIEW_PARTS: Final = 10

# Bytes of each looked at for a preview: mail made by machines opens with kilobytes of style sheet.
PREVIEW_BYTES: Final = 64 * 1024

# Characters of text kept for search, per message.
SEARCH_TEXT: Final = 1024 * 1024

# Encoded bytes of text parts read for that, per message: room for markup and base64.
SEARCH_BYTES: Final = 8 * 1024 * 1024

# Characters of a sort key. PostgreSQL refuses index entries over 2,704 bytes; what is equal so far
# may as well sort as equal.
SORT_KEY: Final = 500

# A subject longer than this is cut before it is parsed, sorted or threaded.
SUBJECT_BYTES: Final = 8 * 1024
