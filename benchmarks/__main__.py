"""The whole suite, one question after the other. `make bench` runs this.

The results go to `.bench/results`, and their tables are printed; `make publish-bench` publishes them.

Whatever ends a run, the same command goes on where it stopped: it asks no question again until all are answered, and
keeps environments, models, settings and the figures of questions whose contestants do not alternate. Nothing that it
started outlives it.

    python -m benchmarks --peers fastembed openvino     these peers alone
    python -m benchmarks --only latency size            these questions alone
    python -m benchmarks --only latency --set rounds=3  with an option of their `measure`
    python -m benchmarks --all                          also what takes longer than half an hour, and our own choices
    python -m benchmarks --fresh                        forget the answers, and search all settings again
    python -m benchmarks --trial                        a few sentences of each, to see that everything works; the
                                                        figures mean nothing and go to .bench/trial
"""

import argparse
import importlib
import inspect
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from simcse_engine.machine.cpu import usable_cpus

from . import tether
from .asking import add_options, minutes, parsed
from .contest.peers.catalog import PEERS, named
from .contest.settings import SETTINGS
from .kept import UNFINISHED, Kept
from .record import BENCH, RESULTS, RESULTS_VARIABLE, TRIAL, write_result
from .report.pages import printed, read_results

if TYPE_CHECKING:
    from .contest.field import Field

ANSWERED = BENCH / "answered.json"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question of the contest, or a script of another folder.

    Questions on one model share a field, since preparing one takes a minute or two.
    """

    name: str  # the file's in `contest/`, or the script's module
    minutes: float  # that it takes on two cores, with all peers
    model: str | None = "minilm"  # of the field
    options: Mapping[str, Any] = field(default_factory=dict)  # of the question's `measure`
    arguments: tuple[str, ...] = ()  # of the script
    trial: Mapping[str, Any] | None = None  # options that make it short; None where it is no part of a trial
    always: bool = True  # asked without `--all` or `--only`

    @property
    def short_name(self) -> str:
        """What `--only` calls it."""
        return self.name.rpartition(".")[2]

    @property
    def key(self) -> str:
        options = (f"{name}={value}" for name, value in self.options.items())
        return " ".join([self.short_name, *([self.model] if self.model else []), *options])

    def settable(self) -> set[str]:
        """The options that `measure` takes besides the field; none of `size` or a script."""
        if self.model is None:
            return set()
        parameters = inspect.signature(self.module().measure).parameters.values()
        return {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}

    def module(self) -> ModuleType:
        """The question's file in `contest/`. It imports torch, for which `--help` need not wait."""
        return importlib.import_module(f"{__package__}.contest.{self.name}")


QUESTIONS = [
    Question(name="size", minutes=0.5, model=None, trial={}),
    Question(name="versus", minutes=6, trial={"rounds": 2}),
    Question(name="latency", minutes=5, trial={"rounds": 2}),
    Question(name="lengths", minutes=8, trial={"rounds": 2, "tokens": 256}),
    Question(name="cold_start", minutes=4, trial={"rounds": 1}),
    Question(name="memory", minutes=2, trial={"count": 40}),
    Question(name="quality", minutes=3, options={"smallest": True}, trial={"compared": 20, "pairs": 40}),
    Question(name="versus", minutes=4, model="bert-base", trial={"rounds": 1}),
    Question(name="latency", minutes=4, model="bert-base", options={"rounds": 8}, trial={"rounds": 1}),
    Question(name="threads", minutes=6, trial={"rounds": 1, "counts": [1, 2]}),
    # What takes longer than half an hour, and our own choices.
    Question(name="memory", minutes=25, options={"count": 100_000}, always=False),
    Question(name="quality", minutes=15, always=False),
    Question(
        name="benchmarks.search.recall",
        minutes=30,
        model=None,
        arguments=("docs-6k", "docs-20k", "docs-100k", "100k", "1m"),
        always=False,
    ),
    Question(name="benchmarks.serve", minutes=25, model=None, always=False),
    Question(name="benchmarks.scale.actors", minutes=5, model=None, always=False),
    Question(name="benchmarks.choices.limits", minutes=3, model=None, always=False),
    Question(name="benchmarks.choices.spellings", minutes=3, model=None, always=False),
    Question(name="benchmarks.choices.operators", minutes=2, model=None, always=False),
    Question(name="benchmarks.choices.kernels", minutes=8, model=None, always=False),
]


def main() -> None:
    arguments = parse()
    peers, questions = named(arguments.peers), chosen(arguments)
    if arguments.fresh:
        for path in (ANSWERED, SETTINGS):
            path.unlink(missing_ok=True)
        shutil.rmtree(UNFINISHED, ignore_errors=True)
    if arguments.trial:
        os.environ[RESULTS_VARIABLE] = str(TRIAL)
    # As Ctrl-C does: processes and temporary folders go with it. Shells start background jobs deaf to that one.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        failed = Suite(peers, questions, trial=arguments.trial).run()
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here")
        sys.exit(130)
    print(printed(read_results(Path(os.environ.get(RESULTS_VARIABLE, RESULTS)))))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; the same command asks them again")
    # All are answered, so the next run starts from the beginning.
    if not arguments.trial and arguments.only is None:
        ANSWERED.unlink(missing_ok=True)
    if not arguments.trial:
        print("\nmake publish-bench puts the results into benchmarks/results, the tables and the plots")


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--peers", nargs="*", default=list(PEERS), help=f"or the first part of their names: {', '.join(PEERS)}"
    )
    parser.add_argument("--all", action="store_true")
    add_options(parser, (each.short_name for each in QUESTIONS))
    return parsed(parser, words)


def chosen(arguments: argparse.Namespace) -> list[Question]:
    """The questions to ask, each with the options set; exit if one does not take an option."""
    questions = [each for each in QUESTIONS if arguments.all or each.always]
    if arguments.only is not None:
        # With --all, those of other sizes as well; without, each has its usual one where there is one.
        usual = [each for each in questions if each.short_name in arguments.only]
        others = set(arguments.only) - {each.short_name for each in usual}
        questions = usual + [each for each in QUESTIONS if each.short_name in others]
    elif not arguments.trial and usable_cpus() <= 2:
        questions = [each for each in questions if each.name != "threads"]
    if arguments.trial:
        questions = [each for each in questions if each.trial is not None]
    for each in questions:
        for name in dict(arguments.set):
            if name not in each.settable():
                sys.exit(f"--set {name}: {each.short_name} has no such option")
    return [replace(each, options={**each.options, **dict(arguments.set)}) for each in questions]


class Suite:
    """A run over questions."""

    def __init__(self, peers: list[str], questions: list[Question], *, trial: bool) -> None:
        self._peers, self._questions, self._trial = peers, questions, trial
        self._field: Field | None = None
        self._begun = time.monotonic()

    def run(self) -> list[str]:
        """Ask all questions, and return the keys of those that failed."""
        failed, count = [], len(self._questions)
        answered = Kept(ANSWERED)
        for number, question in enumerate(self._questions, 1):
            title = f"[{number}/{count}] {question.key}"
            key = f"{question.key}: {' '.join(self._peers)}"
            before = None if self._trial else answered.get(key)
            if before is not None:
                print(f"{title}: answered before, in {minutes(before)}", flush=True)
                continue
            print(f"\n{title}; {self._progress(number - 1)}", flush=True)
            start = time.monotonic()
            try:
                self._ask(question)
            except Exception:
                # Whatever it is, the other questions can be answered.
                traceback.print_exc()
                failed.append(question.key)
                self._leave()
                continue
            if not self._trial:
                answered.once(key, lambda start=start: time.monotonic() - start)
        self._leave()
        print(f"\n{count - len(failed)} of {count} answered, {minutes(time.monotonic() - self._begun)}")
        return failed

    def _ask(self, question: Question) -> None:
        if question.name == "size":
            from .contest import size

            write_result("size", {"question": size.QUESTION}, size.measure(self._peers))
        elif question.model is None:
            self._leave()
            tether.run([sys.executable, "-m", question.name, *question.arguments]).check_returncode()
        else:
            # It imports torch, for which `--help` and a run that goes on need not wait.
            from .contest.field import Field

            if self._field is None or self._field.model.name != question.model:
                self._leave()
                self._field = Field(question.model, self._peers, sentences=40 if self._trial else None)
            module = question.module()
            trial = (question.trial or {}) if self._trial else {}
            figures = module.measure(self._field, **{**question.options, **trial})
            parts = [question.name, *([str(figures["count"])] if "count" in figures else []), question.model]
            name = "-".join(parts)
            write_result(name, {"question": module.QUESTION, **self._field.facts()}, figures)
            # What `memory` and `quality` keep under the name of their result.
            Kept(UNFINISHED / f"{name}.json").forget()

    def _leave(self) -> None:
        """Let the field go, whose processes hold gigabytes."""
        if self._field is not None:
            self._field.close()
            self._field = None

    def _progress(self, done: int) -> str:
        spent = time.monotonic() - self._begun
        left = 60 * sum(each.minutes for each in self._questions[done:])
        return f"{minutes(spent)} so far" + ("" if self._trial else f", about {minutes(left)} left")


if __name__ == "__main__":
    main()
