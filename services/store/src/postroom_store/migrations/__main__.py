"""`python -m postroom_store.migrations`: bring the database's schema up to date, and end.

For those who want that done, or refused, before a new store starts; a store does it by itself, too.
The settings are the store's own.
"""

from __future__ import annotations

import sys

from postroom_chassis import logs, settings

from postroom_store.database import open_engine
from postroom_store.migrations import migrate
from postroom_store.settings import StoreSettings

log = logs.logger("postroom_store.migrations")


def main() -> None:
    loaded = settings.load(StoreSettings)
    logs.configure("store", loaded.log_level, loaded.log_format)
    try:
        engine = open_engine(loaded.database_url, 1)
        migrate(engine)
    except OSError as error:
        sys.exit(f"postroom-store can't migrate: {error}")
    engine.dispose()
    log.info("migrations.done")


if __name__ == "__main__":
    main()
