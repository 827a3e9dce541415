"""Is the engine right on a GPU, and how fast is it beside torch? One command for a machine with an NVIDIA GPU.

    python -m benchmarks.gpu --prepare              on any machine: artifacts, checkpoints, texts, to .bench/gpu
    python -m benchmarks.gpu                        on the GPU's: all questions, to .bench/results
    python -m benchmarks.gpu --budget 300           the most valuable ones that 300 seconds allow
    python -m benchmarks.gpu --budget 300 --resume  those that have no answer yet
    python -m benchmarks.gpu --plan --budget 300    which ones those would be

Each answer is written as soon as it is there, so a run that is cut short leaves what it has answered, and says what it
did not ask. To try it where there is no GPU:

    python -m benchmarks.gpu --prepare --device cpu --prepared .bench/gpu-trial
    python -m benchmarks.gpu --device cpu --trial --prepared .bench/gpu-trial

Preparing needs the extra [export]. A run takes the environment that it is started in: simcse-engine[gpu], torch,
transformers and, to take part, sentence-transformers; it downloads nothing.
"""

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..inputs import MODELS, STS
from ..record import BENCH, RESULTS, ROOT, TRIAL
from ..report.gpu_tables import goals
from ..report.pages import read_results
from . import environment
from .answers import Answers, known_seconds
from .plan import Question, described, planned

if TYPE_CHECKING:
    from .field import Field

_PUBLISHED = ROOT / "benchmarks/results"


class OutOfTimeError(BaseException):
    """The budget is spent; no handler of errors takes it for one."""


def main(words: list[str] | None = None) -> None:
    begun = time.monotonic()
    arguments = parse(words)
    if arguments.prepare:
        from . import preparation

        models = [MODELS[name] for name in arguments.models]
        preparation.prepare(arguments.prepared, models, device=arguments.device, sts=arguments.sts)
        return
    known = known_seconds(_PUBLISHED.glob("gpu-contest-*.json"))
    questions = chosen(arguments)
    if arguments.plan:
        print(described(planned(questions, arguments.budget, known), questions, known))
        return
    lacks = environment.missing(arguments.device)
    if not lacks:
        # It imports what was just seen to be there.
        from . import preparation

        lacks = preparation.lacking(arguments.prepared, arguments.models, arguments.device)
    if lacks:
        sys.exit("\n".join(["missing:", *(f"  {each}" for each in lacks)]))
    print("\n".join(environment.wanting()), flush=True)
    run = Run(arguments, questions, known, begun=begun)
    try:
        run.all()
    except ValueError as error:
        sys.exit(str(error))
    print(f"\n{goals(read_results(arguments.out))}")


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--only", nargs="+", metavar="QUESTION", help="these questions alone")
    parser.add_argument("--device", default="cuda:0", help="cuda:N, or cpu with --prepare and --trial")
    parser.add_argument("--prepared", type=Path, default=BENCH / "gpu", metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where answers go; a trial's, to .bench/trial")
    parser.add_argument("--budget", type=float, metavar="SECONDS", help="from the command's start")
    parser.add_argument("--resume", action="store_true", help="keep the answers that --out has, and ask the others")
    parser.add_argument("--trial", action="store_true", help="a little of everything")
    parser.add_argument("--sts", type=Path, default=STS, metavar="FOLDER", help="of tasks, for --prepare")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--prepare", action="store_true", help="make the folder --prepared")
    what.add_argument("--plan", action="store_true", help="say what would be asked")
    arguments = parser.parse_args(words)
    arguments.out = arguments.out or (TRIAL if arguments.trial else RESULTS)
    if arguments.device == "cpu" and not (arguments.trial or arguments.prepare):
        parser.error("--device cpu goes with --trial: figures of a CPU say nothing here")
    return arguments


def chosen(arguments: argparse.Namespace) -> list[Question]:
    """The questions of these models, the most valuable first; exit where one is unknown."""
    from .question_table import ONLY_ON_GPUS, QUESTIONS

    names = {question.name for question in QUESTIONS}
    for name in arguments.only or ():
        if name not in names:
            sys.exit(f"--only {name}: no such question; there are {', '.join(sorted(names))}")
    left_out = ONLY_ON_GPUS if arguments.device == "cpu" else ()
    return [
        question
        for question in QUESTIONS
        if question.model in arguments.models
        and question.name in (arguments.only or names)
        and question.name not in left_out
    ]


@dataclass
class _Model:
    """A model under way: its answers, and its contestants from its first question on."""

    answers: Answers
    field: "Field | None" = None


class Run:
    """A run over questions."""

    def __init__(
        self, arguments: argparse.Namespace, questions: Sequence[Question], known: Mapping[str, float], *, begun: float
    ) -> None:
        self._arguments, self._questions, self._known, self._begun = arguments, list(questions), known, begun
        self._models: dict[str, _Model] = {}

    def all(self) -> None:
        """Ask what the budget allows, and write down what was not asked.

        Raises:
            ValueError: the answers to go on with were measured under other conditions.
        """
        gpu = environment.device_name(self._arguments.device)
        for name in self._arguments.models:
            about = {"gpu": gpu, "trial": self._arguments.trial, "packages": environment.versions()}
            self._models[name] = _Model(
                answers=Answers(self._arguments.out, name, about, resume=self._arguments.resume)
            )
        left = [each for each in self._questions if each.name not in self._models[each.model].answers.answered]
        plan = planned(left, self._budget_left(), self._known)
        print(f"on {gpu}\n{described(plan, left, self._known)}", flush=True)
        why: dict[str, str] = {}
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
        try:
            self._watch_the_time()
            why = self._ask_in_turn(left)
        except OutOfTimeError as error:
            print(f"\n{error}", flush=True)
            why = {question.key: f"{error} before" for question in left}
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._close(why)

    def _ask_in_turn(self, left: Sequence[Question]) -> dict[str, str]:
        """Ask the first question that fits, again and again; why others do not."""
        waiting = list(left)
        while True:
            plan = planned(waiting, self._budget_left(), self._known)
            if not plan.asked:
                return plan.left_out
            question = plan.asked[0]
            waiting.remove(question)
            self._ask(question)

    def _ask(self, question: Question) -> None:
        from .questions import ASK

        print(f"\n{question.key}, {time.monotonic() - self._begun:.0f} s after the start", flush=True)
        model, start = self._models[question.model], time.monotonic()
        try:
            figures = ASK[question.name](self._field(question.model))
        except Exception as error:  # whatever it is, the other questions can be answered
            lines = str(error).strip().splitlines() or [""]
            model.answers.fail(question.name, f"{type(error).__name__}: {lines[0]}"[:300])
            return
        model.answers.add(question.name, figures, seconds=time.monotonic() - start)

    def _field(self, name: str) -> "Field":
        from . import preparation
        from .field import TRIAL, WORK, Field, Work

        model = self._models[name]
        if model.field is None:
            work = TRIAL if self._arguments.trial else WORK.get(name, Work())
            model.field = Field(preparation.load(self._arguments.prepared, name), self._arguments.device, work)
        return model.field

    def _budget_left(self) -> float | None:
        budget = self._arguments.budget
        return None if budget is None else budget - (time.monotonic() - self._begun)

    def _watch_the_time(self) -> None:
        def stop(number: int, _: Any) -> None:
            raise OutOfTimeError("the budget was spent" if number == signal.SIGALRM else "the run was ended")

        signal.signal(signal.SIGTERM, stop)
        left = self._budget_left()
        if left is not None:
            signal.signal(signal.SIGALRM, stop)
            signal.setitimer(signal.ITIMER_REAL, max(left, 0.001))

    def _close(self, why: Mapping[str, str]) -> None:
        for name, model in self._models.items():
            known = {*model.answers.answered, *model.answers.failed}
            not_run = {
                question.name: why[question.key]
                for question in self._questions
                if question.model == name and question.name not in known and question.key in why
            }
            model.answers.close(not_run)
            for question, reason in not_run.items():
                print(f"not run: {name} {question}: {reason}")
            if model.field is not None:
                model.field.close()


if __name__ == "__main__":
    main()
