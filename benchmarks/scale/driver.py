"""What `actors` runs in an environment with Ray: a job's parts on so many actors, timed from when all have begun.

    python driver.py ARTIFACT TEXTS ROUNDS < CONTESTANTS

prints, line by line, a contestant's name and its sentences per second as JSON. The contestants are JSON too: each name
with its actors and the CPUs of each; no actors for a worker in a process of its own, without Ray.
"""

import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simcse_engine.artifact.manifest import Manifest
from simcse_engine.shards.cluster import Actors, connected, run_parts
from simcse_engine.shards.plan import Part, parts_left
from simcse_engine.shards.settings import Settings
from simcse_engine.shards.sources import find_sources
from simcse_engine.shards.worker import Done, Job, Worker

SHARD_ROWS = 1_000


def main() -> None:
    artifact, texts, rounds = sys.argv[1:]
    contestants = json.load(sys.stdin)
    with connected() as ray:
        for number in range(int(rounds)):
            # The order is drawn for each round.
            for name in random.Random(number).sample(sorted(contestants), len(contestants)):
                actors, cpus = contestants[name]
                with tempfile.TemporaryDirectory() as folder:
                    job, parts = planned(artifact, texts, Path(folder))
                    if actors:
                        done = run_parts(ray, job, parts, Actors(number=actors, cpus=cpus))
                        rate = timed((each for _, each in done), actors)
                    else:
                        rate = alone(job, parts, cpus)
                print(json.dumps([name, rate]), file=sys.__stdout__, flush=True)


def planned(artifact: str, texts: str, folder: Path) -> tuple[Job, list[Part]]:
    form: dict[str, Any] = {"prompt_name": None, "prompt": None, "max_tokens": None, "dimensions": None}
    table: dict[str, Any] = {"dtype": "float32", "text_column": None, "keep_columns": (), "shard_rows": SHARD_ROWS}
    settings = Settings.of(Manifest.read(Path(artifact)), **form, **table)
    parts = parts_left(find_sources([texts], folder, settings.text_column).sources, SHARD_ROWS, {})
    return Job(artifact=artifact, options={}, settings=settings, folder=folder), parts


def timed(done: Iterator[Done], begun: int) -> float:
    """Sentences per second after the first ``begun`` parts, in which encoders are opened."""
    rows, start = 0, 0.0
    for number, each in enumerate(done, 1):
        if number > begun:
            rows += each.rows
        elif number == begun:
            start = time.perf_counter()
    return rows / (time.perf_counter() - start)


def alone(job: Job, parts: list[Part], cpus: int) -> float:
    """The same in a process of its own, by its environment's number of threads."""
    os.environ["OMP_NUM_THREADS"] = str(cpus)
    try:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_alone, (job, parts))
    finally:
        del os.environ["OMP_NUM_THREADS"]


def _alone(job: Job, parts: list[Part]) -> float:
    with Worker(job) as worker:
        return timed((worker.run(part) for part in parts), 1)


if __name__ == "__main__":
    main()
