"""Postroom on one machine: every service as its own process on loopback, on SQLite."""
