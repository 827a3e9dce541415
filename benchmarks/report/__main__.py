"""Publishes results: copies those of the last runs, and writes the tables and plots from all that are published.

python -m benchmarks.report            publish `.bench/results` (needs the extra [bench])
python -m benchmarks.report --check    exit 1 if tables or plots are out of step with benchmarks/results
"""

import argparse
import shutil
import sys

from ..record import RESULTS, ROOT
from .pages import check, draw, filled, read_results

PUBLISHED, ASSETS = ROOT / "benchmarks/results", ROOT / "docs/assets"
PAGES = (ROOT / "README.md", ROOT / "docs/benchmarks.md")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        faults = check(read_results(PUBLISHED), PAGES, ASSETS)
        if faults:
            sys.exit("\n".join([*faults, "make publish-bench brings them into step"]))
    else:
        publish()


def publish() -> None:
    """Copy the results, fill the pages and draw the plots."""
    for path in sorted(RESULTS.glob("*.json")):
        shutil.copy(path, PUBLISHED)
        print(f"{path.relative_to(ROOT)} → {PUBLISHED.relative_to(ROOT)}")
    results = read_results(PUBLISHED)
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), results), encoding="utf-8")
    draw(results, ASSETS)


if __name__ == "__main__":
    main()
