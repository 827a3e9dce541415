"""The command `encode`: a file of sentences into a file of vectors, or many into a folder of shards."""

import argparse
import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputValueError
from .arguments import (
    PROGRAM,
    Commands,
    add_artifact,
    add_command,
    add_encoder_options,
    add_form_options,
    add_limit_options,
    add_prompt_options,
    add_text_column,
    open_encoder,
)
from .bars import Bar
from .output import counted_cuts, print_report
from .shard_options import add_shard_options, check_no_shard_options
from .sharding import encode_into_shards
from .signals import telling_what_is_safe
from .streams import write_out

if TYPE_CHECKING:
    from ..files.vectors import VectorFacts, Write

STDIN = STDOUT = "-"


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    parser = add_command(
        commands,
        "encode",
        "encode sentences, one per line or in tables, into vectors",
        run,
        "One file into one file; or files, folders and patterns into a folder of Parquet, which --resume goes on with.",
    )
    add_artifact(parser)
    parser.add_argument(
        "inputs",
        metavar="IN",
        nargs="*",
        help="UTF-8 lines, or .csv, .tsv, .jsonl, .parquet or .arrow; .gz and .zst too; - or nothing for stdin; with a "
        "folder as output also several (all in one place of the line), folders, and patterns in quotes",
    )
    parser.add_argument(
        *("-o", "--output"),
        metavar="OUT",
        required=True,
        type=_output,
        help=".npy, .jsonl, .parquet or .arrow; is replaced; or - for lines of .jsonl on stdout; or a folder, with "
        "/ at its end unless it exists",
    )
    add_text_column(parser)
    add_prompt_options(parser)
    add_form_options(parser)
    add_encoder_options(parser, several=True)
    add_limit_options(parser)
    add_shard_options(parser)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..files.reading import Reading
    from ..files.texts import open_texts
    from ..files.vectors import check_target
    from ..forms import VectorForm

    if isinstance(args.output, _Folder):
        encode_into_shards(args, args.output.path)
        return
    check_no_shard_options(args)
    source = _one_input(args.inputs)
    if args.output == STDOUT and args.json:
        raise InputValueError("--json prints a report on stdout, where -o - writes the vectors; leave one of them out")
    if args.output != STDOUT:
        check_target(args.output)
    rows = 0
    with (
        telling_what_is_safe(
            PROGRAM,
            lambda: f"{rows:,} rows were written" if args.output == STDOUT else f"{args.output} was not written",
        ),
        open_texts(source, args.text_column) as texts,
        counted_cuts(args.truncate) as cuts,
        # It only streams, so it packs the weights for nothing else.
        open_encoder(args, optimize_for="throughput") as encoder,
    ):
        # The second branch holds just the texts that the encoder has read ahead of its vectors.
        counted = Reading.counted(texts, None)
        encoded, kept = itertools.tee(counted)
        prompt = encoder.prompts.choose(args.prompt_name, args.prompt)
        form = VectorForm.of(encoder.manifest, args.dimensions, args.dtype)
        facts = form.facts(encoder.manifest.identity, prompt)
        with _writing(args.output, facts) as write, contextlib.closing(Bar("texts")) as bar:
            for vectors in encoder.stream(
                encoded,
                prompt=prompt,
                dimensions=args.dimensions,
                dtype=args.dtype,
                progress=lambda count: bar.advance_texts(count, texts, counted.position),
            ):
                write(list(itertools.islice(kept, len(vectors))), vectors)
                rows += len(vectors)
                # Not held while the next are computed.
                del vectors
    report = {
        "output": str(args.output),
        "rows": rows,
        "dimension": facts.dimensions,
        "dtype": facts.dtype,
        "identity": facts.identity,
        "truncated": sum(cuts),
    }
    where = "stdout" if args.output == STDOUT else args.output
    print_report(args, report, f"{where}: {rows:,} rows of {form}")


@contextlib.contextmanager
def _writing(output: Path | str, facts: "VectorFacts") -> "Iterator[Write]":
    from ..files.vectors import create_vectors, json_row

    if isinstance(output, Path):
        with create_vectors(output, facts) as write:
            yield write
        return
    # A pipe's reader gets each block as soon as it is there.
    dtypes = itertools.repeat(facts.dtype)
    yield lambda texts, vectors: write_out(b"".join(map(json_row, texts, vectors, dtypes)))


@dataclass(frozen=True)
class _Folder:
    """An output that is a folder."""

    path: Path


def _one_input(inputs: Sequence[str]) -> str:
    if not inputs:
        return STDIN
    if len(inputs) > 1:
        raise InputValueError("several inputs need a folder for their vectors; let the output's name end with /")
    return inputs[0]


def _output(name: str) -> Path | str | _Folder:
    if name == STDOUT:
        return STDOUT
    # Path("") is the folder that one is in.
    if name.endswith(os.sep) or (name and Path(name).is_dir()):
        return _Folder(Path(name))
    # A wrong suffix is wrong use, refused before anything is loaded. argparse shows the message of this error alone.
    from ..files.vectors import check_suffix

    try:
        check_suffix(Path(name))
    except InputValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Path(name)
