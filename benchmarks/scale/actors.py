"""How throughput grows with actors: sentences per second of `encode --ray`, by its actors and the CPUs of each.

One machine's actors share its memory bandwidth and its clock. On several machines they share nothing but the folder
that they write into.
"""

import json
import random
import tempfile
from pathlib import Path

import pyarrow
import pyarrow.parquet

from .. import tether
from ..contest.peers.environment import Environment
from ..inputs import MINILM, sentences
from ..record import ROOT, write_result
from ..statistics import spreads
from ..turns import no_options
from .driver import SHARD_ROWS

RAY = Environment(
    name="ray",
    requirements=(
        "ray==2.60.0",
        "pyarrow==26.0.1",
        "onnxruntime==1.32.0",
        "numpy==2.4.6",
        "tokenizers==0.22.2",
        "usearch==2.26.6",
    ),
)
# Actors, and the CPUs of each; none is a process without Ray.
CONTESTANTS = {
    "no Ray, 1 CPU": (0, 1),
    "no Ray, 2 CPUs": (0, 2),
    "1 actor of 1 CPU": (1, 1),
    "2 actors of 1 CPU": (2, 1),
    "1 actor of 2 CPUs": (1, 2),
}
ROUNDS, SHARDS = 3, 12


def main() -> None:
    no_options(__doc__)
    packages, artifact, texts = RAY.install(), MINILM.artifact(), sentences()
    rates: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    with tempfile.TemporaryDirectory() as folder:
        chosen = random.Random(1)
        rows = [text for _ in range(SHARDS) for text in chosen.sample(texts.texts, SHARD_ROWS)]
        pyarrow.parquet.write_table(pyarrow.table({"text": rows}), Path(folder, "texts.parquet"))
        command = ["env", f"PYTHONPATH={ROOT / 'engine'}:{ROOT}", "RAY_USAGE_STATS_ENABLED=0", RAY.python]
        command += ["-m", "benchmarks.scale.driver", artifact, Path(folder, "texts.parquet"), str(ROUNDS)]
        done = tether.run(command, stdin=json.dumps(CONTESTANTS), captured=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        for line in done.stdout.splitlines():
            name, rate = json.loads(line)
            rates[name].append(rate)
    write_result(
        "actors",
        {
            "question": "sentences per second by actors and the CPUs of each, after their start; MiniLM, fp32",
            "sentences": texts.source,
            "packages": packages,
            "rounds": ROUNDS,
            "shards": f"{SHARDS} of {SHARD_ROWS:,} rows, Parquet to Parquet",
        },
        {"per_second": spreads(rates)},
    )


if __name__ == "__main__":
    main()
