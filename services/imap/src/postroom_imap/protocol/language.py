"""What people read of IMAP's responses, in their language (RFC 5255 section 3)."""

from __future__ import annotations

from postroom_chassis.language import Wording

from postroom_imap.protocol.translations import LANGUAGES, TRANSLATIONS

WORDING = Wording(LANGUAGES, TRANSLATIONS)
say = WORDING.say
