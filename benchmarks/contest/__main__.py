"""Asks one question of the contest.

python -m benchmarks.contest versus --peers openvino-int8 ctranslate2-int8 --rounds 3
python -m benchmarks.contest latency --model bert-base
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from simcse_engine.machine.cpu import usable_cpus

from ..inputs import MODELS
from .field import PRECISIONS, Field
from .peers.catalog import add_peers, named
from .questions import FIELD, ask, ask_size, options_of
from .settings import SETTINGS

# The questions' own options, by name.
_OPTIONS: dict[str, dict[str, Any]] = {
    "rounds": {"type": int},
    "tokens": {"type": int, "help": "in each round, at least"},
    "count": {"type": int, "help": "sentences in a call, and lines of the command's file"},
    "counts": {"type": int, "nargs": "+", "help": "of threads, instead of the powers of two up to all CPUs"},
    "sts": {"type": Path, "metavar": "FOLDER"},
    "compared": {"type": int, "help": "sentences compared with float32 and alone"},
    "pairs": {"type": int, "help": "of each task, the first ones"},
    "smallest": {"action": "store_true", "help": "the task with the fewest pairs alone"},
}


def main() -> None:
    arguments = parser().parse_args()
    peers = named(arguments.peers)
    name = arguments.question
    if name == "size":
        ask_size(peers)
        return
    if name == "threads" and arguments.counts is None and usable_cpus() <= 2:
        sys.exit(f"{usable_cpus()} CPUs here, which is too few; --counts 1 2 measures all the same")
    if arguments.search:
        SETTINGS.unlink(missing_ok=True)
    field = Field.enter(
        arguments.model,
        peers,
        ours=arguments.ours,
        sentences=arguments.sentences,
        searched=name != "memory",  # it has settings of its own
    )
    ask(name, field, **{option: getattr(arguments, option) for option in options_of(name)})
    field.close()


def parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    whole = argparse.ArgumentParser(prog="benchmarks.contest", description=__doc__, formatter_class=raw)
    questions = whole.add_subparsers(dest="question", required=True, metavar="QUESTION")
    for name, module in FIELD.items():
        one = questions.add_parser(
            name, help=module.QUESTION.replace("%", "%%"), description=module.__doc__, formatter_class=raw
        )
        one.add_argument("--model", choices=MODELS, default="minilm")
        one.add_argument("--ours", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
        one.add_argument("--sentences", type=int, help="in a round of bulk work")
        one.add_argument("--search", action="store_true", help="search the settings again, instead of those kept")
        for option, default in options_of(name).items():
            one.add_argument(f"--{option}", default=default, **_OPTIONS[option])
    questions.add_parser("size", help="what each environment installs")
    for each in questions.choices.values():
        add_peers(each)
    return whole


if __name__ == "__main__":
    main()
