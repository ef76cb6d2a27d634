"""The base subject (RFC 5256 section 2.1): what is left of a subject without Re:, Fwd: and [list].

The steps of the RFC are numbered in the code. They repeat until nothing changes; here every
repetition moves a position instead of copying text, so that a subject of nothing but "re:" or "[x]"
takes linear time.
"""

import re
from typing import Final

from postroom_mime import limits
from postroom_mime.words import decode_words

_BLANKS: Final = re.compile(r"[ \t\r\n]+")
_BLOB: Final = re.compile(r"\[[^\[\]]*\] *")  # subj-blob
_LEADERS: Final = re.compile(  # *subj-leader = *((*subj-blob subj-refwd) / WSP)
    rf"(?:(?:{_BLOB.pattern})*+(?:re|fwd?) *(?:{_BLOB.pattern})?:| )++", re.IGNORECASE | re.ASCII
)


def base_subject(subject: bytes) -> tuple[str, bool]:
    """Return the base subject of an unfolded Subject, and whether it is a reply or forward."""
    text = _BLANKS.sub(" ", decode_words(subject[: limits.SUBJECT_BYTES]))  # step 1
    start, end, replied = 0, len(text), False
    while True:
        end, forwarded = _without_trailers(text, start, end)  # step 2
        replied |= forwarded
        if leaders := _LEADERS.match(text, start, end):  # step 3
            replied |= leaders[0] != " " * len(leaders[0])
            start = leaders.end()
        # Step 4. No leader can follow (step 5): one behind blobs was taken together with them.
        while (blob := _BLOB.match(text, start, end)) and blob.end() < end:
            start = blob.end()
        if text[start : start + 5].lower() != "[fwd:" or not text.endswith("]", start + 5, end):
            return text[start:end], replied
        start, end, replied = start + 5, end - 1, True  # step 6


def _without_trailers(text: str, start: int, end: int) -> tuple[int, bool]:
    """Return where text ends without any `subj-trailer = "(fwd)" / WSP`; whether it was "(fwd)"."""
    forwarded = False
    while end > start:
        if text[end - 1] == " ":
            end -= 1
        elif text[max(start, end - 5) : end].lower() == "(fwd)":
            end -= 5
            forwarded = True
        else:
            break
    return end, forwarded
