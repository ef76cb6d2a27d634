"""Runs the `postroom` command where it is not installed as a script."""

from postroom_admin.cli.app import main

main()
