"""Measures the engine behind HTTP, one question after the other.

The results go to `.bench/results` as soon as a question is answered. Whatever ends a run, the same command goes on
with the question it was at. Nothing that it started outlives it.

    python -m benchmarks.serve                               all that take less than half an hour together
    python -m benchmarks.serve --only mixed                  this question alone
    python -m benchmarks.serve --only offered --set seconds=4    with an option of its `measure`
    python -m benchmarks.serve --peers fastapi               this peer alone
    python -m benchmarks.serve --fresh                       forget what was answered
    python -m benchmarks.serve --trial                       some seconds of each, to see that everything works; the
                                                             figures mean nothing and go to .bench/trial
"""

import argparse
import importlib
import inspect
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from ..asking import add_options, minutes, parsed
from ..kept import Kept
from ..record import BENCH, RESULTS_VARIABLE, TRIAL, write_result
from .peers import PEERS
from .stage import Stage

ANSWERED = BENCH / "answered-serve.json"


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question of this folder."""

    name: str  # the file's
    minutes: float  # that it takes on two cores
    options: Mapping[str, Any] = field(default_factory=dict)
    trial: Mapping[str, Any] = field(default_factory=dict)  # options that make it short
    always: bool = True  # asked without `--only`

    @property
    def key(self) -> str:
        return " ".join([self.name, *(f"{name}={value}" for name, value in self.options.items())])

    def module(self) -> ModuleType:
        return importlib.import_module(f"{__package__}.{self.name}")


QUESTIONS = [
    Question(name="short", minutes=6, trial={"connections": (1, 8), "rounds": 1, "seconds": 1}),
    Question(name="batches", minutes=3, trial={"rounds": 1, "seconds": 1, "texts": 512}),
    Question(name="alone", minutes=1, trial={"rounds": 1}),
    Question(name="offered", minutes=6, trial={"shares": (0.5, 1.0), "seconds": 2, "passes": 1, "rounds": 1}),
    Question(name="overload", minutes=2, trial={"seconds": 3, "watch": 5}),
    Question(name="drain", minutes=1, trial={"times": 1, "before": 0.5}),
    Question(name="kills", minutes=3, trial={"kills": 3}),
    Question(name="mixed", minutes=1, options={"seconds": 30, "precision": "fp32"}, trial={"seconds": 3}),
    Question(name="mixed", minutes=11, trial={"seconds": 3}, always=False),
]


def main() -> None:
    arguments = parse()
    questions = chosen(arguments)
    if arguments.fresh:
        ANSWERED.unlink(missing_ok=True)
    if arguments.trial:
        os.environ[RESULTS_VARIABLE] = str(TRIAL)
    # As Ctrl-C does: processes and temporary folders go with it. Shells start background jobs deaf to that one.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        failed = ask_all(questions, arguments.peers, trial=arguments.trial)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here")
        sys.exit(130)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; the same command asks them again")
    # All are answered, so the next run starts from the beginning.
    if not arguments.trial and arguments.only is None:
        ANSWERED.unlink(missing_ok=True)


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS))
    add_options(parser, (each.name for each in QUESTIONS))
    return parsed(parser, words)


def chosen(arguments: argparse.Namespace) -> list[Question]:
    """The questions to ask, each with the options set; exit if one does not take an option."""
    questions = [each for each in QUESTIONS if (each.name in arguments.only if arguments.only else each.always)]
    settings = dict(arguments.set)
    for each in questions:
        unknown = settings.keys() - inspect.signature(each.module().measure).parameters
        if unknown:
            sys.exit(f"--set {unknown.pop()}: {each.name} has no such option")
    return [
        Question(**{**vars(each), "options": {**each.options, **(each.trial if arguments.trial else {}), **settings}})
        for each in questions
    ]


def ask_all(questions: list[Question], peers: list[str], *, trial: bool) -> list[str]:
    """Ask all, and return the keys of those that failed."""
    failed, stage, begun = [], Stage(peers), time.monotonic()
    answered = Kept(ANSWERED)
    for number, question in enumerate(questions, 1):
        title, key = f"[{number}/{len(questions)}] {question.key}", f"{question.key}: {' '.join(peers)}"
        before = None if trial else answered.get(key)
        if before is not None:
            print(f"{title}: answered before, in {minutes(before)}", flush=True)
            continue
        spent = minutes(time.monotonic() - begun)
        left = minutes(60 * sum(each.minutes for each in questions[number - 1 :]))
        print(f"\n{title}; {spent} so far" + ("" if trial else f", about {left} left"), flush=True)
        start = time.monotonic()
        try:
            ask(question, stage)
        except Exception:
            # Whatever it is, the other questions can be answered.
            traceback.print_exc()
            failed.append(question.key)
            continue
        if not trial:
            answered.once(key, lambda start=start: time.monotonic() - start)
    return failed


def ask(question: Question, stage: Stage) -> None:
    """Answer a question, and write its result."""
    module = question.module()
    figures = module.measure(stage, **question.options)
    name = f"serve-{question.name}"
    if "precision" in figures:
        name += f"-{figures['precision']}"
    write_result(name, {"question": module.QUESTION, **stage.facts()}, figures)


if __name__ == "__main__":
    main()
