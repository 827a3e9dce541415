"""What does whitening do to a checkpoint's vectors on STS, beside cutting them?

python -m benchmarks.choices.whitening CHECKPOINT POOLER CORPUS STS      a corpus and STS tasks as export takes them

Spearman x 100 of each task and their average, as the manifest of each artifact has them.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from simcse_export import ExportOptions, export

from ..record import write_result

# None for all dimensions that there are.
DIMENSIONS = (None, 256, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("pooler")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("sts", type=Path)
    arguments = parser.parse_args()
    common: dict[str, Any] = {"pooler": arguments.pooler, "sts": arguments.sts}
    whiten = arguments.corpus
    exports = {
        **{f"cut to {count}" if count else "all": {"dimensions": count} for count in DIMENSIONS},
        **{f"whitened to {count or 'all'}": {"dimensions": count, "whiten": whiten} for count in DIMENSIONS},
        "whitened to 256, int8": {"dimensions": 256, "whiten": whiten, "precision": "int8"},
    }
    figures = {name: _scores(arguments.checkpoint, ExportOptions(**common, **each)) for name, each in exports.items()}
    about = {
        "question": "Spearman x 100 on STS of whitened and of cut vectors",
        "checkpoint": Path(arguments.checkpoint).name,
        "pooler": arguments.pooler,
    }
    write_result("whitening", about, figures)


def _scores(checkpoint: str, options: ExportOptions) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        manifest = export(checkpoint, Path(folder, "artifact"), options)
    quality = manifest.quality or {}
    tail = manifest.architecture.get("tail", [])
    return {"dimension": manifest.dimension, "sts": quality["sts"], "tail": tail}


if __name__ == "__main__":
    main()
