"""The whole suite, a question after the other. `make bench` runs this.

Whatever ends it, the same command goes on where it stopped: questions that were answered are not asked again until all
are, and environments, models, searched settings and the figures of questions whose contestants do not alternate are
kept. Nothing that it started runs on without it.

    python -m benchmarks --peers fastembed openvino     these peers alone
    python -m benchmarks --only latency size            these questions alone
    python -m benchmarks --all                          also what takes longer than half an hour, and our own choices
    python -m benchmarks --fresh                        forget what was answered, and search all settings anew
    python -m benchmarks --trial                        a few sentences of each, to see that everything works; figures
                                                     that mean nothing go to .bench/trial
"""

import argparse
import importlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simcse_engine.machine.cpu import usable_cpus

from . import tether
from .contest.peers.catalog import PEERS, named
from .contest.settings import SETTINGS
from .finished import FOLDER as UNFINISHED
from .harness import RESULTS_VARIABLE
from .inputs import BENCH

if TYPE_CHECKING:
    from .contest.field import Field

STATE = BENCH / "answered.json"
TRIAL = BENCH / "trial"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A script to run, or to ask of a field that several questions share: preparing one takes a minute or two.

    Attributes:
        script: its name.
        about: what it asks.
        minutes: that it takes on two cores, with all peers.
        model: of the field; None for a script that needs none.
        given: arguments of its `ask`.
        arguments: of its command line, where it has no model.
        trial: arguments that make it short; None where there are none, and it is no part of a trial.
        always: whether it is asked without `--all` or `--only`.
    """

    script: str
    about: str
    minutes: float
    model: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    trial: Mapping[str, Any] | None = None
    always: bool = True

    @property
    def module(self) -> str:
        return f"benchmarks.{FOLDERS.get(self.script, 'contest')}.{self.script}"

    @property
    def key(self) -> str:
        given = [f"{name}={value}" for name, value in self.given.items()]
        return " ".join([self.script, *([self.model] if self.model else []), *given])


FOLDERS = {"recall": "search", "limits": "choices", "spellings": "choices", "operators": "choices"}
_SHORT = {"compared": 20, "pairs": 40}
QUESTIONS = [
    Question(script="size", about="what each environment installs", minutes=0.5, trial={}),
    Question(script="versus", about="bulk work, MiniLM", minutes=6, model="minilm", trial={"rounds": 2}),
    Question(script="latency", about="one sentence, MiniLM", minutes=5, model="minilm", trial={"rounds": 2}),
    Question(
        script="lengths", about="by length, MiniLM", minutes=8, model="minilm", trial={"rounds": 2, "tokens": 256}
    ),
    Question(script="cold_start", about="start to first vector", minutes=4, model="minilm", trial={"rounds": 1}),
    Question(script="memory", about="memory of 1,000", minutes=2, model="minilm", trial={"count": 40}),
    Question(script="quality", about="quality", minutes=3, model="minilm", given={"smallest": True}, trial=_SHORT),
    Question(
        script="versus",
        about="bulk work, BERT-base",
        minutes=4,
        model="bert-base",
        trial={"rounds": 1},
    ),
    Question(
        script="latency",
        about="one sentence, BERT-base",
        minutes=4,
        model="bert-base",
        given={"rounds": 8},
        trial={"rounds": 1},
    ),
    Question(
        script="threads", about="bulk work by threads", minutes=6, model="minilm", trial={"rounds": 1, "counts": [1, 2]}
    ),
    # What needs no quiet machine, and much time.
    Question(
        script="memory", about="memory of 100,000", minutes=25, model="minilm", given={"count": 100_000}, always=False
    ),
    Question(script="quality", about="quality, all tasks", minutes=15, model="minilm", always=False),
    Question(
        script="recall",
        about="search in an index, beside bare USearch and FAISS",
        minutes=30,
        arguments=("real", "100k", "1m"),
        always=False,
    ),
    # Our own choices.
    Question(script="limits", about="the scheduler's limits", minutes=3, always=False),
    Question(script="spellings", about="the spellings of the int8 graph", minutes=3, always=False),
    Question(script="operators", about="where a run's time goes", minutes=3, always=False),
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
    if asked.trial:
        os.environ[RESULTS_VARIABLE] = str(TRIAL)
    # As Ctrl-C does: processes and temporary folders go with it. Shells start background jobs deaf to that one.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        Suite(peers, questions(asked), trial=asked.trial).run()
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here")
        sys.exit(130)
    # All are answered, so the next run starts anew.
    if not asked.trial and asked.only is None:
        STATE.unlink(missing_ok=True)
    print("`make report` draws the plots and writes the README's tables")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), help="or the first part of their names")
    parser.add_argument("--only", nargs="+", choices=sorted({each.script for each in QUESTIONS}))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--trial", action="store_true")
    return parser.parse_args()


def questions(asked: argparse.Namespace) -> list[Question]:
    """Those that are to be asked."""
    chosen = [each for each in QUESTIONS if asked.all or each.always]
    if asked.only is not None:
        # With --all, those of other sizes as well; without, each has its usual one where there is one.
        named_scripts = [each for each in chosen if each.script in asked.only]
        usual = {each.script for each in named_scripts}
        chosen = named_scripts + [each for each in QUESTIONS if each.script in set(asked.only) - usual]
    if asked.trial:
        chosen = [each for each in chosen if each.trial is not None]
    if usable_cpus() <= 2 and not asked.trial:
        chosen = [each for each in chosen if each.script != "threads"]
    return chosen


class Suite:
    """A run over questions."""

    def __init__(self, peers: list[str], questions: list[Question], *, trial: bool) -> None:
        self._peers, self._questions, self._trial = peers, questions, trial
        self._answered = {} if trial else read_state()
        self._field: Field | None = None
        self._begun = time.monotonic()

    def run(self) -> None:
        """Ask all; exit where one failed."""
        failed = []
        for number, question in enumerate(self._questions, 1):
            title = f"[{number}/{len(self._questions)}] {question.about} ({question.script})"
            key = f"{question.key}: {' '.join(self._peers)}"
            if key in self._answered:
                print(f"{title}: answered before, in {minutes(self._answered[key])}", flush=True)
                continue
            print(f"\n{title}; {self._progress(number - 1)}", flush=True)
            start = time.monotonic()
            try:
                self._ask(question)
            except Exception:
                # Whatever it is, the others can be answered.
                traceback.print_exc()
                failed.append(question.key)
                self._leave()
                continue
            self._answered[key] = time.monotonic() - start
            if not self._trial:
                write_state(self._answered)
        self._leave()
        count = len(self._questions)
        print(f"\n{count - len(failed)} of {count} answered, {minutes(time.monotonic() - self._begun)}")
        if failed:
            sys.exit(f"failed: {', '.join(failed)}; the same command asks them again")

    def _ask(self, question: Question) -> None:
        given = {**question.given, **((question.trial or {}) if self._trial else {})}
        if question.model is None:
            self._leave()
            command = [sys.executable, "-m", question.module, *question.arguments]
            peers = ["--peers", *self._peers] if question.script == "size" else []
            tether.run([*command, *peers]).check_returncode()
            return
        if self._field is None or self._field.model.name != question.model:
            self._leave()
            # It imports torch, which who asks for --help or goes on need not wait for.
            from .contest.field import Field

            self._field = Field.enter(question.model, self._peers, sentences=40 if self._trial else None)
        ask: Callable[..., None] = importlib.import_module(question.module).ask
        ask(self._field, **given)

    def _leave(self) -> None:
        """Let the field go, whose processes hold gigabytes."""
        if self._field is not None:
            self._field.close()
            self._field = None

    def _progress(self, done: int) -> str:
        spent = time.monotonic() - self._begun
        left = 60 * sum(each.minutes for each in self._questions[done:])
        return f"{minutes(spent)} so far" + ("" if self._trial else f", about {minutes(left)} left")


def read_state() -> dict[str, float]:
    return json.loads(STATE.read_text(encoding="utf-8")) if STATE.is_file() else {}


def write_state(answered: dict[str, float]) -> None:
    STATE.parent.mkdir(exist_ok=True)
    STATE.write_text(json.dumps(answered, indent=2) + "\n", encoding="utf-8")


def minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


if __name__ == "__main__":
    main()
