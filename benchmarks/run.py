"""The whole suite, a question after the other. `make bench` runs this.

A question that was answered is not asked again until all are: after an interruption, the same command goes on where it
stopped. Environments, models, searched settings and, where contestants do not alternate, each contestant's figures
outlive an interruption within a question too.

    benchmarks/run.py --peers fastembed openvino     these peers alone
    benchmarks/run.py --only latency size            these questions alone
    benchmarks/run.py --fresh                        forget what was answered, and search all settings anew
    benchmarks/run.py --trial                        a few sentences of each, to see that everything works; figures
                                                     that mean nothing go to .bench/trial
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from inputs import BENCH
from peers.catalog import PEERS, named
from peers.contestant import SETTINGS
from peers.finished import FOLDER as UNFINISHED
from simcse_engine.cpu import usable_cpus

STATE = BENCH / "answered.json"
TRIAL = BENCH / "trial"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A script to run.

    Attributes:
        script: its name, with its arguments.
        about: what it asks.
        peers: whether it takes `--peers`.
        trial: arguments that make it short.
    """

    script: tuple[str, ...]
    about: str
    peers: bool = True
    trial: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return " ".join(self.script)


_FEW = ("--sentences", "40")
QUESTIONS = [
    Question(script=("size",), about="what each environment installs"),
    Question(script=("versus",), about="bulk work, MiniLM", trial=(*_FEW, "--rounds", "2")),
    Question(script=("latency",), about="one sentence, MiniLM", trial=(*_FEW, "--rounds", "2")),
    Question(script=("lengths",), about="bulk work by length", trial=(*_FEW, "--rounds", "2", "--tokens", "256")),
    Question(script=("quality",), about="quality", trial=(*_FEW, "--compared", "20", "--pairs", "40")),
    Question(script=("cold_start",), about="start to first vector", trial=(*_FEW, "--rounds", "2")),
    Question(
        script=("memory",),
        about="memory",
        trial=(*_FEW, "--few", "40", "--many", "80", "--lines", "100"),
    ),
    Question(
        script=("versus", "--model", "bert-base", "--rounds", "3"),
        about="bulk work, BERT-base",
        trial=("--sentences", "8", "--rounds", "1"),
    ),
    Question(
        script=("latency", "--model", "bert-base", "--rounds", "4"),
        about="one sentence, BERT-base",
        trial=("--sentences", "8", "--rounds", "1"),
    ),
    Question(script=("threads",), about="bulk work by threads", trial=(*_FEW, "--rounds", "1", "--threads", "1", "2")),
    Question(script=("search",), about="search in an index, beside bare USearch and FAISS", peers=False),
    Question(script=("speed",), about="ours beside transformers in one process", peers=False),
    Question(script=("small_calls",), about="how calls of a few sentences run", peers=False),
    Question(script=("limits",), about="the scheduler's limits", peers=False),
    Question(script=("spellings",), about="the spellings of the int8 graph", peers=False),
    Question(script=("operators",), about="where a run's time goes", peers=False),
]


def main() -> None:
    asked = arguments()
    try:
        peers = named(asked.peers)
    except ValueError as error:
        sys.exit(str(error))
    if asked.fresh:
        for path in (STATE, SETTINGS):
            path.unlink(missing_ok=True)
        shutil.rmtree(UNFINISHED, ignore_errors=True)
    questions = [each for each in QUESTIONS if asked.only is None or each.script[0] in asked.only]
    # A trial is of the field; the others know no shorter way.
    questions = [each for each in questions if not asked.trial or each.trial or each.script[0] == "size"]
    if usable_cpus() <= 2 and not asked.trial:
        questions = [each for each in questions if each.script[0] != "threads"]
    answered = {} if asked.trial else read_state()
    begun, failed = time.monotonic(), []
    for number, question in enumerate(questions, 1):
        key = f"{question.key}: {' '.join(peers)}" if question.peers else question.key
        title = f"[{number}/{len(questions)}] {question.about} ({question.script[0]}.py)"
        if key in answered:
            print(f"{title}: answered before, in {minutes(answered[key])}", flush=True)
            continue
        print(f"\n{title}, {minutes(time.monotonic() - begun)} so far", flush=True)
        start = time.monotonic()
        if ask(question, peers, trial=asked.trial):
            answered[key] = time.monotonic() - start
            if not asked.trial:
                write_state(answered)
        else:
            failed.append(question.key)
    print(f"\n{len(questions) - len(failed)} of {len(questions)} answered, {minutes(time.monotonic() - begun)}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; the same command asks them again")
    # All are answered, so the next run starts anew.
    if not asked.trial and asked.only is None:
        STATE.unlink(missing_ok=True)
    print("benchmarks/report.py draws the plots and writes the README's tables")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), help="or the first part of their names")
    parser.add_argument("--only", nargs="+", choices=sorted({each.script[0] for each in QUESTIONS}))
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--trial", action="store_true")
    return parser.parse_args()


def ask(question: Question, peers: list[str], *, trial: bool) -> bool:
    """Run the script; whether it succeeded."""
    name, *given = question.script
    command = [sys.executable, Path(__file__).with_name(f"{name}.py"), *given]
    if question.peers:
        command += ["--peers", *peers]
    # argparse takes the last of two equal options.
    environment = {**os.environ, "BENCH_RESULTS": str(TRIAL)} if trial else dict(os.environ)
    return subprocess.run([*command, *(question.trial if trial else ())], env=environment, check=False).returncode == 0


def read_state() -> dict[str, float]:
    return json.loads(STATE.read_text(encoding="utf-8")) if STATE.is_file() else {}


def write_state(answered: dict[str, float]) -> None:
    STATE.parent.mkdir(exist_ok=True)
    STATE.write_text(json.dumps(answered, indent=2) + "\n", encoding="utf-8")


def minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


if __name__ == "__main__":
    main()
