"""Searching: programs of keys, and the index that answers the textual ones."""
