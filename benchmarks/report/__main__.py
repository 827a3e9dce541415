"""Publishes results: copies those of the last runs, and writes the tables and plots from all that are published.

python -m benchmarks.report              publish `.bench/results` (needs the extra [bench])
python -m benchmarks.report --partial    also results that lack what the published ones of their names have
python -m benchmarks.report --check      exit 1 if tables or plots are out of step with benchmarks/results
"""

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from typing import Any

from ..record import RESULTS, ROOT
from .pages import check, draw, filled, read_results

PUBLISHED, ASSETS = ROOT / "benchmarks/results", ROOT / "docs/assets"
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
PAGES = (
    ROOT / "README.md",
    *(ROOT / f"docs/{name}.md" for name in ("benchmarks", "forms", "gpu", "search")),
    *DECISIONS,
)
# Mappings whose names are no contestants, tasks or the like.
_ABOUT = {"machine", "absent", "not_made", "packages", "failed", "not_run"}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--partial", action="store_true")
    arguments = parser.parse_args()
    if arguments.check:
        faults = check(read_results(PUBLISHED), PAGES, ASSETS)
        if faults:
            sys.exit("\n".join([*faults, "make publish-bench brings them into step"]))
    else:
        publish(partial=arguments.partial)


def publish(*, partial: bool = False) -> None:
    """Copy the results, fill the pages and draw the plots; ``partial`` ones replace those that have more, too."""
    published = read_results(PUBLISHED)
    for path in sorted(RESULTS.glob("*.json")):
        lacks = lacking(json.loads(path.read_text(encoding="utf-8")), published.get(path.stem, {}))
        if lacks and not partial:
            print(f"{path.relative_to(ROOT)} skipped: the published one has more {', '.join(lacks)}")
            print("make publish-bench PARTIAL=1 publishes it all the same")
        else:
            shutil.copy(path, PUBLISHED)
            print(f"{path.relative_to(ROOT)} → {PUBLISHED.relative_to(ROOT)}")
    results = read_results(PUBLISHED)
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), results), encoding="utf-8")
    draw(results, ASSETS)


def lacking(result: Mapping[str, Any], published: Mapping[str, Any]) -> list[str]:
    """The keys under which the published result has more names: contestants, tasks, or figures at all."""
    return [
        key
        for key, before in published.items()
        if isinstance(before, Mapping)
        and key not in _ABOUT
        and not before.keys() <= (names.keys() if isinstance(names := result.get(key), Mapping) else set())
    ]


if __name__ == "__main__":
    main()
