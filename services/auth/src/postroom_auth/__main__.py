"""`python -m postroom_auth`: the auth service until SIGTERM."""

from postroom_chassis import lifecycle

from postroom_auth.service import start
from postroom_auth.settings import AuthSettings

if __name__ == "__main__":
    lifecycle.run("auth", AuthSettings, start)
