"""The results as people read them: tables in README.md and docs/benchmarks.md, plots in docs/assets.

python -m benchmarks.report            write the tables and draw the plots (wants the extra [bench])
python -m benchmarks.report --check    exit 1 if either is out of step with benchmarks/results
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import search_tables, tables
from .charts import CHARTS

ROOT = Path(__file__).resolve().parents[2]
RESULTS, ASSETS = ROOT / "benchmarks/results", ROOT / "docs/assets"
PAGES = (ROOT / "README.md", ROOT / "docs/benchmarks.md")

TABLES = {**tables.TABLES, **search_tables.TABLES}
_BLOCK = re.compile(r"<!-- benchmark:([\w-]+) -->\n(.*?)<!-- /benchmark -->", re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--pages", type=Path, nargs="+", default=PAGES, metavar="FILE")
    parser.add_argument("--assets", type=Path, default=ASSETS, metavar="FOLDER")
    asked = parser.parse_args()
    results = read_results(asked.results)
    if asked.check:
        wrong = check(results, asked.pages, asked.assets)
        if wrong:
            sys.exit("\n".join([*wrong, "`make report` brings them into step"]))
        return
    for page in asked.pages:
        page.write_text(filled(page.read_text(encoding="utf-8"), results), encoding="utf-8")
    draw(results, asked.assets)


def read_results(folder: Path) -> dict[str, Any]:
    """Every result's content by its file's name without suffix."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def filled(text: str, results: Mapping[str, Any]) -> str:
    """A page with every block as the results have it.

    Raises:
        KeyError: a marker names no table.
    """

    def block(found: re.Match[str]) -> str:
        return f"<!-- benchmark:{found[1]} -->\n{TABLES[found[1]](results)}\n<!-- /benchmark -->"

    return _BLOCK.sub(block, text)


def check(results: Mapping[str, Any], pages: Iterable[Path], assets: Path) -> list[str]:
    """What is out of step, a line each."""
    wrong = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for old, new in zip(_BLOCK.finditer(text), _BLOCK.finditer(filled(text, results)), strict=True):
            if old[0] != new[0]:
                wrong.append(f"{page.name}: the block {old[1]} is not what the results say")
    for name, (select, _) in CHARTS.items():
        path = assets / f"{name}.svg"
        data = select(results)
        drawn = path.read_text(encoding="utf-8") if path.is_file() else ""
        if data is not None and _stamp(data) not in drawn:
            wrong.append(f"{path.name}: {'drawn from other figures' if drawn else 'missing'}")
        elif data is None and drawn:
            wrong.append(f"{path.name}: there are no figures for it")
    return wrong


def draw(results: Mapping[str, Any], assets: Path) -> None:
    """Draw every plot that has figures; remove those that have none."""
    from .plots import svg

    assets.mkdir(parents=True, exist_ok=True)
    for name, (select, title) in CHARTS.items():
        path = assets / f"{name}.svg"
        data = select(results)
        if data is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(f"{svg(name, title, data)}{_stamp(data)}\n", encoding="utf-8")


def _stamp(data: Any) -> str:
    """Says from which figures a plot was drawn, so that a change shows without drawing."""
    content = json.dumps(data, sort_keys=True).encode()
    return f"<!-- figures {hashlib.sha256(content).hexdigest()} -->"


if __name__ == "__main__":
    main()
