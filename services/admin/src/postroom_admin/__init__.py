"""What administrators of Postroom work with: the `postroom` command and the REST API."""
