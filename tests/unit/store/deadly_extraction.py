"""The process that takes text out of messages, except that some messages are too much for it."""

import os
import signal
import sys

from postroom_mime import SearchText, search_text
from postroom_store.search.extraction import serve


def extract(content: bytes) -> SearchText:
    if b"apple_pie" in content:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"without end" in content:
        signal.pause()
    return search_text(content)


if __name__ == "__main__":
    serve(int(sys.argv[1]), extract)
