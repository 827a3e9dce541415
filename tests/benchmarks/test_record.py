"""Results go where git does not look, until they are published."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from benchmarks.kept import Kept
from benchmarks.report import __main__ as report
from benchmarks.statistics import Ratio, Spread

from benchmarks import __main__ as suite
from benchmarks import record


def test_a_result_has_the_machine_and_few_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(record.RESULTS_VARIABLE, str(tmp_path / "trial"))
    figures = {
        "rates": {"ours": Spread(median=1234.5678, min=1000.0, max=2000.0)},
        "over": {"peer": Ratio(median=1.25, low=1.0, high=2.0)},
        "ms": {"ours": {"p50": 1.0, "p99": 2.0}},
        "count": 40,
    }
    content = record.write_result("made-up", {"question": "why?"}, figures)
    assert json.loads((tmp_path / "trial/made-up.json").read_text(encoding="utf-8")) == content
    assert content["rates"] == {"ours": {"median": 1235.0, "min": 1000.0, "max": 2000.0}}
    assert content["question"] == "why?"
    assert {"cpu", "usable_cpus", "packages", "load_average_at_start"} <= content["machine"].keys()
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["ours", "1,235", "(1,000", "to", "2,000)"] in printed
    assert ["peer", "1.25", "[1.00,", "2.00]"] in printed
    assert ["ours", "p50", "1,", "p99", "2"] in printed
    assert ["count", "40"] in printed


def test_measuring_leaves_the_repository_as_it_is() -> None:
    if shutil.which("git") is None or not (record.ROOT / ".git").exists():
        pytest.skip("needs git and a checkout")
    written = [record.RESULTS / "versus-minilm.json", record.TRIAL / "versus-minilm.json", suite.ANSWERED]
    ignored = subprocess.run(
        ["git", "check-ignore", *written], cwd=record.ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    assert ignored.stdout.split() == list(map(str, written))


def test_publishing_copies_results_and_fills_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, published = tmp_path / ".bench", tmp_path / "results"
    for folder, name in ((results, "measured"), (published, "before")):
        folder.mkdir()
        (folder / f"{name}.json").write_text("{}", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text("<!-- benchmark:quality -->\n<!-- /benchmark -->\n", encoding="utf-8")
    drawn = []
    for name, value in {"ROOT": tmp_path, "RESULTS": results, "PUBLISHED": published, "PAGES": (page,)}.items():
        monkeypatch.setattr(report, name, value)
    monkeypatch.setattr(report, "draw", lambda results, _: drawn.append(list(results)))
    report.publish()
    assert drawn == [["before", "measured"]]
    assert "Not measured yet" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("figures", "lacks"),
    [
        ({}, []),
        ({"contestants": {"ours": {}, "fastembed": {}, "new": {}}, "rounds": 51}, []),
        ({"absent": {}, "machine": {}}, []),
        ({"contestants": {"ours": {}, "new": {}}}, ["contestants"]),
        ({"tasks": {"stsb": 10}}, ["tasks"]),
        ({"rounds": 2}, []),
        ({"tasks": None}, ["tasks"]),
    ],
)
def test_a_result_that_lacks_something(figures: dict[str, Any], lacks: list[str]) -> None:
    before = {
        "machine": {"cpu": "A CPU"},
        "absent": {"simcse": "why"},
        "contestants": {"ours": {}, "fastembed": {}},
        "tasks": {"stsb": 10, "sts12": 20},
        "rounds": 50,
    }
    assert report.lacking({**before, **figures}, before) == lacks
    assert report.lacking({**before, **figures}, {}) == []


def test_a_partial_result_is_published_only_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results, published = tmp_path / ".bench", tmp_path / "results"
    one, two = {"tasks": {"stsb": 1}}, {"tasks": {"stsb": 2, "sts12": 2}}
    for folder, result in ((results, one), (published, two)):
        folder.mkdir()
        (folder / "quality-minilm.json").write_text(json.dumps(result), encoding="utf-8")
    for name, value in {"ROOT": tmp_path, "RESULTS": results, "PUBLISHED": published, "PAGES": ()}.items():
        monkeypatch.setattr(report, name, value)
    monkeypatch.setattr(report, "draw", lambda *_: None)
    report.publish()
    assert capsys.readouterr().out == (
        ".bench/quality-minilm.json skipped: the published one has more tasks\n"
        "make publish-bench PARTIAL=1 publishes it all the same\n"
    )
    assert report.read_results(published) == {"quality-minilm": two}
    report.publish(partial=True)
    assert report.read_results(published) == {"quality-minilm": one}


def test_what_is_kept_is_not_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "folder/kept.json"
    assert Kept(path).once("key", lambda: Spread(median=1.0, min=0.5, max=2.0)) == {
        "median": 1.0,
        "min": 0.5,
        "max": 2.0,
    }
    again = Kept(path)
    assert again.once("key", lambda: pytest.fail("measured again"))["max"] == 2.0
    assert again.get("another") is None
    again.forget()
    assert Kept(path).get("key") is None
