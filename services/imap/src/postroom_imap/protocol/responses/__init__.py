"""Functions that return response bytes: whole responses with their CRLF, and fragments of them."""
