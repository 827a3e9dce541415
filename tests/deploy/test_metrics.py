"""The dashboard, the alerts and the autoscaler's rule read metrics that a server has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from simcse_engine import Index
from support.deployment import DEPLOY
from support.servers import serving

DASHBOARD = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
# The labels that Prometheus adds, and a histogram's own.
OWN = {"job", "instance", "namespace", "pod", "le"}


@pytest.fixture(scope="module")
def metrics(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of each series of a server with an index and a cache that has answered."""
    folder = tmp_path_factory.mktemp("index") / "entries"
    Index.create(folder, artifact).close()
    with serving(artifact, "--index", folder, "--cache-bytes", "1000000") as server:
        assert server.ask("POST", "/embed", {"inputs": "a text"}).status == 200
        text = server.ask("GET", "/metrics").content.decode()
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, labels = line.partition(" ")[0].partition("{")
            found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def expressions() -> Iterator[Any]:
    """Every expression in PromQL."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield pytest.param(variable["definition"], id=variable["name"])
    for document in yaml.safe_load_all((DEPLOY / "prometheus.yaml").read_text(encoding="utf-8")):
        for group in document["spec"].get("groups", []):
            for rule in group["rules"]:
                yield pytest.param(rule["expr"], id=rule["alert"])
    adapter = yaml.safe_load((DEPLOY / "prometheus-adapter.yaml").read_text(encoding="utf-8"))
    for rule in adapter["rules"]["custom"]:
        yield pytest.param(rule["seriesQuery"], id="adapter")


@pytest.mark.parametrize("expression", list(expressions()))
def test_series_and_labels_exist(expression: str, metrics: dict[str, set[str]]) -> None:
    series = set(re.findall(r"\b(?:simcse|process)_\w+", expression))
    assert series
    assert series <= set(metrics)
    labels = set(re.findall(r'(\w+)(?:=~|!~|!=|=)"', expression))
    for group in re.findall(r"by \(([^)]*)\)", expression):
        labels |= set(group.split(", "))
    assert labels <= OWN.union(*(metrics[name] for name in series))
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)


def test_the_dashboard_has_every_metric_of_the_engine(metrics: dict[str, set[str]]) -> None:
    names = {re.sub(r"_(bucket|sum|count|created)$", "", name) for name in metrics if name.startswith("simcse_")}
    shown = json.dumps(DASHBOARD)
    # Prometheus notes when a counter began beside it, under its name without the suffix.
    assert {name for name in names if name not in shown} == set()


def test_panels_lie_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        cells = {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
        assert max(columns) < 24
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_every_query_takes_the_variables_that_exist() -> None:
    variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
    text = json.dumps(DASHBOARD)
    used = set(re.findall(r"\$\{?([a-z]+)", text))
    assert used == variables
