"""The options that `encode` has for a folder alone."""

import argparse

from ..errors import InputValueError
from ..wording import argument
from .arguments import count
from .parser import Parser

SHARD_ROWS = 100_000
# The options that a folder alone takes, by their place in the arguments, with what they are if they are not given.
_DEFAULTS = {
    **{"keep_columns": None, "shard_rows": None, "resume": False},
    **{"ray": False, "num_actors": None, "cpus_per_actor": None},
}


def add_shard_options(parser: Parser) -> None:
    """Add the options of an output that is a folder."""
    group = parser.add_argument_group("a folder as output")
    group.add_argument(
        "--keep-columns",
        metavar="A,B",
        action="append",
        help="columns of tables that stand beside text and vector; * for all (default: none)",
    )
    group.add_argument(
        "--shard-rows", type=count, metavar="N", help=f"rows of a shard, at most (default: {SHARD_ROWS:,})"
    )
    group.add_argument(
        "--resume", action="store_true", help="go on with what an interrupted run has begun there, by the same options"
    )
    group.add_argument(
        "--ray",
        action="store_true",
        help="encode on Ray, by paths that every machine has: on RAY_ADDRESS, this machine's cluster, or a new one",
    )
    group.add_argument("--num-actors", type=count, metavar="N", help="workers on Ray, at most (default: all that fit)")
    group.add_argument(
        "--cpus-per-actor",
        type=count,
        metavar="N",
        help="CPUs, and so threads, of each (default: all of a machine, or as many as --num-actors leaves each)",
    )


def check_no_shard_options(args: argparse.Namespace) -> None:
    """Raise InputValueError for an option that only a folder takes."""
    for name, default in _DEFAULTS.items():
        if (value := getattr(args, name)) != default:
            given = ",".join(value) if isinstance(value, list) else value
            raise InputValueError(argument(name, given), " is for a folder of shards; let the output's name end with /")
