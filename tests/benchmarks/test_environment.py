"""A peer that cannot be installed is reported in pip's own words, and the others go on."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CODE = """
import sys
from dataclasses import replace
from pathlib import Path
from benchmarks.contest.peers import catalog, environment
from benchmarks.contest.contestant import Entry
from benchmarks.inputs import MINILM

environment.BENCH = Path(sys.argv[1])
peer = catalog.PEERS["fastembed"]
pinned = replace(peer.environment, requirements=("fastembed==0.0.0",))
catalog.PEERS["fastembed"] = replace(peer, environment=pinned)
try:
    Entry(model=MINILM, threads=1, texts=(), reference=None, tuning=None, singles=()).start("fastembed")
except environment.PeerError as error:
    print(error)
"""


def test_a_version_that_does_not_exist(tmp_path: Path) -> None:
    environment = {**os.environ, "PIP_NO_INDEX": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, tmp_path], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    assert "No matching distribution found for fastembed==0.0.0" in done.stdout
    assert str(tmp_path) not in done.stdout.splitlines()[-1]
