"""`python -m postroom_auth.migrations`: bring the database's schema up to date, and end.

For those who want that done, or refused, before a new auth starts; auth does it by itself, too,
unless MIGRATE says otherwise. The settings are auth's own.
"""

from __future__ import annotations

import asyncio
import sys

from postroom_chassis import logs, settings

from postroom_auth.service import open_database
from postroom_auth.settings import AuthSettings

log = logs.logger("postroom_auth.migrations")


def main() -> None:
    loaded = settings.load(AuthSettings).model_copy(update={"migrate": True})
    logs.configure("auth", loaded.log_level, loaded.log_format)
    try:
        asyncio.run(open_database(loaded)).close()
    except OSError as error:
        sys.exit(f"postroom-auth can't migrate: {error}")
    log.info("migrations.done")


if __name__ == "__main__":
    main()
