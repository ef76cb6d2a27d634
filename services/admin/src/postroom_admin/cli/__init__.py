"""The `postroom` command: a file for each family of commands, `session` and `output` below them."""
