"""The chart's values: each has a comment, a row in the README and a place in the schema, which
refuses whatever else there is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.deploy.chart import CHART, Object, helm, render, variant

TEXT = (CHART / "values.yaml").read_text()
VALUES: Object = yaml.safe_load(TEXT)
SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())
LINES = TEXT.splitlines()
UNUSED = {"global"}  # Helm's own: what a chart above this one hands down
Path = tuple[str, ...]


@dataclass(frozen=True)
class Value:
    """A value, its comment, and what it is by default."""

    path: Path
    comment: str
    default: Any

    @property
    def row(self) -> str:
        """Its row in the README's table."""
        default = json.dumps(self.default, ensure_ascii=False)
        return f"| `{'.'.join(self.path)}` | `{default}` | {self.comment} |"


def comment_above(number: int) -> str:
    """The lines right above one that are comments."""
    first = number
    while LINES[first - 1].lstrip().startswith("#"):
        first -= 1
    return " ".join(line.strip().removeprefix("#").strip() for line in LINES[first:number])


def is_group(node: yaml.Node) -> bool:
    """Whether there are values with comments of their own below it."""
    return (
        isinstance(node, yaml.MappingNode)
        and not node.flow_style
        and any(comment_above(key.start_mark.line) or is_group(value) for key, value in node.value)
    )


def walk(node: yaml.Node | None, path: Path, default: Object) -> Iterator[Value | Path]:
    """The values, and the paths of groups."""
    assert isinstance(node, yaml.MappingNode)
    yield path
    for key, value in node.value:
        below, inside = (*path, key.value), default[key.value]
        if is_group(value):
            yield from walk(value, below, inside)
        else:
            yield Value(below, comment_above(key.start_mark.line), inside)


ALL = list(walk(yaml.compose(TEXT), (), VALUES))
EVERY_VALUE = [one for one in ALL if isinstance(one, Value)]
GROUPS = [one for one in ALL if not isinstance(one, Value)]


def test_every_value_has_a_comment() -> None:
    assert len(EVERY_VALUE) > 150
    assert [one.path for one in EVERY_VALUE if not one.comment] == []


def test_the_readme_has_a_row_for_each() -> None:
    """Rows are what values.yaml says. Where they aren't, this tells what they should be."""
    _, table = (CHART / "README.md").read_text().split("\n## Values\n")
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert rows == [one.row for one in EVERY_VALUE]


# The schema.


def resolved(schema: Object) -> Object:
    """A schema, or what it refers to."""
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return schema


def schema_of(path: Path) -> Object:
    schema = resolved(SCHEMA)
    for name in path:
        schema = resolved(schema["properties"][name])
    return schema


def schemas(schema: Any) -> Iterator[Object]:
    """All schemas within one."""
    if isinstance(schema, dict):
        yield schema
        for inner in schema.values():
            yield from schemas(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from schemas(inner)


def test_whoever_names_properties_lets_no_others_through() -> None:
    closed = [one for one in schemas(SCHEMA) if isinstance(one.get("properties"), dict)]
    # What Kubernetes has of its own in `extraEnv` is Kubernetes' to refuse.
    open_ones = [one for one in closed if one.get("additionalProperties") is not False]
    assert [list(one["properties"]) for one in open_ones] == [["name"]]


@pytest.mark.parametrize("path", GROUPS, ids=".".join)
def test_the_schema_and_the_values_name_the_same(path: Path) -> None:
    default = VALUES
    for name in path:
        default = default[name]
    assert set(schema_of(path)["properties"]) - UNUSED == set(default)


@pytest.fixture(scope="module")
def chart() -> Iterator[helm.Chart]:
    with helm.Chart.load(CHART) as loaded:
        yield loaded


def nested(path: Path, value: Any) -> Object:
    for name in reversed(path):
        value = {name: value}
    return dict(value)


def test_a_misspelt_value_is_refused(chart: helm.Chart) -> None:
    chart.validate_schema({"hostname": "mail.example.org"})
    paths = [one.path for one in EVERY_VALUE] + [path for path in GROUPS if path]
    for path in paths:
        misspelt = (*path[:-1], path[-1][:-1] + "_")
        with pytest.raises(helm.HelmValuesError, match="additional properties"):
            chart.validate_schema(nested(misspelt, None))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("imap.replicas", 0),
        ("imap.replicas", "two"),
        ("imap.autoscaling.cpu", "70%"),
        ("service.type", "Loadbalancer"),
        ("image.tag", "latest"),
        ("image.digests", {"smpt": "sha256:" + 64 * "0"}),
        ("image.digests", {"smtp": "0123"}),
        ("hostname", "mail.example.org."),
        ("smtp.settings", {"MESAGE_BYTES": 1}),
        ("smtp.settings", {"LISTENERS": "mx=0.0.0.0:25"}),
        ("smtp.settings", {"SRS_SECRETS": "plain to see"}),
        ("smtp.settings", {"RELAY_DOMAINS": ["example.org"]}),
        ("smtp.secretSettings", {"SRS_SECRETS": "plain to see"}),
        ("smtp.fileSettings", {"SEND_AUTHORITIES": {"key": "ca.pem"}}),
        ("smtp.fileSettings", {"SEND_AUTHORITIES": {"key": "k", "secret": "s", "configMap": "c"}}),
        ("auth.database.type", "mysql"),
        ("store.persistence.size", "plenty"),
        ("tls.certManager.duration", "90 days"),
        ("pod.extraEnv", [{"name": "POSTROOM_LOG_LEVEL", "value": "DEBUG"}]),
    ],
)
def test_what_cant_be_is_refused(chart: helm.Chart, path: str, value: object) -> None:
    with pytest.raises(helm.HelmValuesError):
        chart.validate_schema(nested(tuple(path.split(".")), value))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "hostname: "),
        ({"proxyProtocol": {"enabled": True}}, "proxyProtocol.networks: "),
        (
            {
                "proxyProtocol": {"enabled": True, "networks": ["192.0.2.1/32"]},
                "tls": {"sidecar": {"enabled": False}},
            },
            "imap.ports.imaps: ",
        ),
        (
            {"imap": {"autoscaling": {"enabled": True, "minReplicas": 20}}},
            "imap.autoscaling: minReplicas",
        ),
        (
            {"pop3": {"autoscaling": {"enabled": True, "cpu": ""}}},
            "pop3.autoscaling: no metric",
        ),
        (
            {
                "store": {
                    "blobs": "fs",
                    "database": {"type": "postgresql", "urlSecret": {"name": "s"}},
                }
            },
            "store.persistence.accessModes: ",
        ),
        ({"store": {"database": {"type": "postgresql"}}}, "store.database.urlSecret.name: "),
        ({"tls": {"source": "secret"}}, "tls.secretName: "),
        ({"tls": {"source": "certManager"}}, "tls.certManager.issuerRef: "),
        ({"internalTls": {"source": "secret"}}, "internalTls.secretNames."),
    ],
)
def test_what_cant_be_together_is_told(values: Object, told: str) -> None:
    house = {} if told == "hostname: " else {"hostname": "mail.example.org"}
    with pytest.raises(helm.HelmRenderError, match=told):
        render(house | values)


# The page for operators.

PAGE = CHART.parents[2] / "docs/kubernetes.md"


def documents(page: str) -> Iterator[Object]:
    for block in page.split("```yaml\n")[1:]:
        yield yaml.safe_load(block.partition("```")[0])


def test_what_the_page_shows_can_be_used() -> None:
    shown = [one for one in documents(PAGE.read_text()) if "hostname" in one]
    assert len(shown) == 9
    for one in shown:
        assert render(one)


def test_what_the_page_names_is_there() -> None:
    """Values as `smtp.spoolSize`, and objects of a release that is called mail."""
    page = PAGE.read_text()
    values = {".".join(one.path) for one in EVERY_VALUE} | {".".join(path) for path in GROUPS}
    tops = {one.path[0] for one in EVERY_VALUE if len(one.path) > 1}
    for named in re.findall(r"`([a-z][A-Za-z0-9]*(?:\.[a-zA-Z0-9]+)+)", page):
        if named.split(".")[0] in tops:
            assert named in values, named
    everything = {
        one["metadata"]["name"] for name in ("minimal", "postgresql") for one in variant(name)
    }
    assert set(re.findall(r"\bmail-postroom-[a-z-]*[a-z]\b", page)) <= everything
