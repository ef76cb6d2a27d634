"""One pass over a message: structure with offsets, IMAP renderings, sort keys, text.

Pure functions on bytes. None raises on any bytes, save `Survey`; each is bounded (`limits`).
"""

from postroom_mime.address import Address, AddressItem, GroupEnd, GroupStart, parse_addresses
from postroom_mime.collation import COLLATIONS, casemap
from postroom_mime.conversion import Conversion, Domain, Plan, Survey, Unconvertible
from postroom_mime.dates import parse_date
from postroom_mime.derive import Derived, SortKeys, derive, sort_keys
from postroom_mime.headers import header_fields, parse_fields
from postroom_mime.imap_url import ImapUrl, UrlAuth, parse_imap_url
from postroom_mime.render import body, bodystructure, bodystructure_of, envelope, nstring
from postroom_mime.scan import scan
from postroom_mime.section import find_part, section, split_fields
from postroom_mime.structure import Message, Part, decode_structure, encode_structure
from postroom_mime.subject import base_subject
from postroom_mime.text import (
    SearchText,
    header_matches,
    header_texts,
    normal,
    normalise,
    search_text,
)
from postroom_mime.transfer import decode_pieces, decoded, is_decodable
from postroom_mime.words import decode_words

__all__ = [
    "COLLATIONS",
    "Address",
    "AddressItem",
    "Conversion",
    "Derived",
    "Domain",
    "GroupEnd",
    "GroupStart",
    "ImapUrl",
    "Message",
    "Part",
    "Plan",
    "SearchText",
    "SortKeys",
    "Survey",
    "Unconvertible",
    "UrlAuth",
    "base_subject",
    "body",
    "bodystructure",
    "bodystructure_of",
    "casemap",
    "decode_pieces",
    "decode_structure",
    "decode_words",
    "decoded",
    "derive",
    "encode_structure",
    "envelope",
    "find_part",
    "header_fields",
    "header_matches",
    "header_texts",
    "is_decodable",
    "normal",
    "normalise",
    "nstring",
    "parse_addresses",
    "parse_date",
    "parse_fields",
    "parse_imap_url",
    "scan",
    "search_text",
    "section",
    "sort_keys",
    "split_fields",
]
