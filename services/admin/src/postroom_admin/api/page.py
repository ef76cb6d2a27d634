"""/docs: the API's description as a page, without scripts and with nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
td { padding: .3rem .8rem .3rem 0; vertical-align: top; border-top: 1px solid #8884 }
code, pre { font: 14px ui-monospace, monospace }
pre { white-space: pre-wrap }
"""

EXAMPLE = """
$ curl -H "Authorization: Bearer $TOKEN" {base}/v1/domains
$ curl -H "Authorization: Bearer $TOKEN" --json '{{"name": "example.org"}}' {base}/v1/domains
"""


def render(schema: dict[str, Any], base: str) -> str:
    """A page that lists every operation.

    Args:
        schema: the OpenAPI description.
        base: the address of the API, for examples.
    """
    info = schema["info"]
    return "".join(
        (
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            f"<title>{escape(info['title'])}</title><style>{STYLE}</style>",
            f"<h1>{escape(info['title'])}</h1><pre>{escape(info['description'].strip())}</pre>",
            '<p>For programs: <a href="/openapi.json">/openapi.json</a></p>',
            f"<pre>{escape(EXAMPLE.format(base=base).strip())}</pre>",
            *_sections(schema),
            "</html>",
        )
    )


def _sections(schema: dict[str, Any]) -> Iterator[str]:
    rows: dict[str, list[str]] = {}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            cells = (method.upper(), path, operation["summary"], _body(schema, operation))
            row = "".join(f"<td><code>{escape(cell)}</code></td>" for cell in cells[:2])
            row += "".join(f"<td>{escape(cell)}</td>" for cell in cells[2:])
            rows.setdefault(operation["tags"][0], []).append(f"<tr>{row}</tr>")
    for tag, found in rows.items():
        yield f"<h2>{escape(tag.capitalize())}</h2><table>{''.join(found)}</table>"


def _body(schema: dict[str, Any], operation: dict[str, Any]) -> str:
    """The fields of an operation's body, those that may be missing in brackets."""
    if "requestBody" not in operation:
        return ""
    (media,) = operation["requestBody"]["content"].values()
    body = schema["components"]["schemas"][media["schema"]["$ref"].rpartition("/")[2]]
    required = body.get("required", [])
    names = [name if name in required else f"[{name}]" for name in body["properties"]]
    return ", ".join(names)
