"""The command line, `simcse-engine`: each command opens what it needs, calls the library and says what came of it.

Results go to stdout (with ``--json`` as one JSON document), everything else to stderr. The exit code is 0, 1 for a
failure, 2 for wrong use and 130 after Ctrl-C. What only one command needs is imported by that command.
"""

import argparse
import itertools
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import SimCSEError
from .arguments import PROGRAM, parser
from .output import counted_cuts, print_json
from .printout import escape_unprintable

if TYPE_CHECKING:
    from ..encoder import Encoder
    from ..inputs import OptimizeFor, Truncate

INTERRUPTED = 130  # what shells report of a program that Ctrl-C ended: 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; wrong use ends in SystemExit(2), as argparse has it."""
    args = parser().parse_args(argv)
    escape_unprintable()
    try:
        code = _COMMANDS[args.command](args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read stdout has seen enough. What is left in its buffer must go nowhere when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (SimCSEError, OSError) as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return 1
    return code


def _encode(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..files.texts import open_texts
    from ..files.vectors import check_target, create_vectors

    check_target(args.output)
    rows = 0
    # It only streams, so it packs the weights for nothing else.
    with open_texts(args.file) as texts, counted_cuts(args.truncate) as cuts, _encoder(args, "throughput") as encoder:
        # The second branch holds just the texts that the encoder has read ahead of its vectors.
        encoded, kept = itertools.tee(texts)
        # disable=None: no bar where stderr is no terminal.
        with create_vectors(args.output, encoder.dimension) as write, tqdm(unit=" texts", disable=None) as bar:
            for vectors in encoder.stream(encoded):
                write(list(itertools.islice(kept, len(vectors))), vectors)
                rows += len(vectors)
                bar.update(len(vectors))
                # Not held while the next are computed.
                del vectors
        dimension, identity = encoder.dimension, encoder.manifest.identity
    if args.json:
        print_json(
            {
                "output": str(args.output),
                "rows": rows,
                "dimension": dimension,
                "identity": identity,
                "truncated": sum(cuts),
            }
        )
    else:
        print(f"{args.output}: {rows:,} rows of {dimension} floats", file=sys.stderr)
    return 0


def _similarity(args: argparse.Namespace) -> int:
    from .printout import cosine_table, cosines

    sentences = [args.first, *args.others]
    with counted_cuts(args.truncate) as cuts, _encoder(args) as encoder:
        values = cosines(encoder.encode(sentences))
    if args.json:
        print_json({"sentences": sentences, "cosines": values.tolist(), "truncated": sum(cuts)})
    elif len(sentences) == 2:
        print(f"{values[0, 1]:.4f}")
    else:
        print(cosine_table(sentences, values))
    return 0


def _info(args: argparse.Namespace) -> int:
    from ..artifact.hub import locate
    from ..artifact.manifest import MANIFEST, Manifest
    from .printout import manifest_lines

    folder = locate(args.artifact, files=[MANIFEST])
    manifest = Manifest.read(folder)
    if args.json:
        print_json(manifest.to_json())
    else:
        print(manifest_lines(folder, manifest))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from ..artifact.hub import locate
    from ..artifact.manifest import HUB_FILES
    from ..encoder import Encoder
    from ..errors import OutputError, UnverifiedWarning
    from ..measure.parity import LIMITS, record, verify
    from .printout import parity_lines

    folder = locate(args.artifact, files=HUB_FILES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnverifiedWarning)
        # With the artifact's own max_tokens and nothing said of cuts: some of its check texts are too long on purpose.
        encoder = Encoder(folder, device=args.device, threads=args.threads)
    with encoder:
        parity = verify(encoder, folder)
        manifest = encoder.manifest
        recorded = manifest.verified is None and encoder.device != "cpu"
        if recorded:
            try:
                record(folder, manifest, parity)
            except OutputError as error:
                # It has passed all the same, as in a container that only reads its artifact.
                print(f"{PROGRAM}: warning: passed, and the manifest cannot say so: {error}", file=sys.stderr)
                recorded = False
    if args.json:
        passed = {"passed": True, "recorded": recorded, "precision": manifest.precision, **parity.to_json()}
        print_json(passed)
    else:
        print(parity_lines(parity, LIMITS[manifest.precision]))
        if recorded:
            print("the manifest says so from now on")
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    from ..measure.quality import measure
    from ..measure.sts import read_tasks
    from .tables import quality_table

    tasks = read_tasks(args.sts)
    with counted_cuts(args.truncate) as cuts, _encoder(args) as encoder:
        quality = measure(tasks, lambda texts: encoder.encode(texts, progress=sys.stderr.isatty()))
        identity = encoder.manifest.identity
    if args.json:
        print_json({"identity": identity, **quality.to_json(), "truncated": sum(cuts)})
    else:
        print(quality_table(quality))
    return 0


def _bench(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..measure.bench import BenchOptions, bench
    from .tables import bench_table

    options = BenchOptions(file=args.file, device=args.device, threads=args.threads, seconds=args.seconds)
    # No bar: what it takes is known beforehand, seconds a section. The line says which one it is at.
    with tqdm(bar_format="{elapsed} {desc}", disable=None, leave=False) as line:
        measured = bench(args.artifact, options, line.set_description_str)
    if args.json:
        print_json(measured.to_json())
    else:
        print(bench_table(measured))
    return 0


def _compile(args: argparse.Namespace) -> int:
    from ..artifact.hub import locate
    from ..artifact.manifest import HUB_FILES
    from ..compiling import CompileOptions, compile_artifact
    from .printout import manifest_lines

    manifest = compile_artifact(
        locate(args.artifact, files=HUB_FILES),
        args.output,
        CompileOptions(device=args.device, timings=args.timings, force=args.force),
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if args.json:
        print_json(manifest.to_json())
    else:
        print(manifest_lines(args.output, manifest))
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from ..doctor.report import examine

    found = examine()
    if args.json:
        print_json(found.to_json())
    else:
        print(found.render())
    return 0 if found.healthy else 1


def _encoder(args: argparse.Namespace, optimize_for: "OptimizeFor" = "both") -> "Encoder":
    from ..encoder import Encoder

    # "silent" is silent towards the user alone: cuts are counted all the same, in `counted_cuts`.
    truncate: Truncate = "error" if args.truncate == "error" else "warn"
    return Encoder(
        args.artifact,
        device=args.device,
        threads=args.threads,
        truncate=truncate,
        max_tokens=args.max_tokens,
        optimize_for=optimize_for,
    )


def _index(args: argparse.Namespace) -> int:
    from .index import run

    return run(args)


def _search(args: argparse.Namespace) -> int:
    from .search import run

    return run(args)


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "encode": _encode,
    "similarity": _similarity,
    "info": _info,
    "verify": _verify,
    "evaluate": _evaluate,
    "bench": _bench,
    "compile": _compile,
    "doctor": _doctor,
    "index": _index,
    "search": _search,
}


if __name__ == "__main__":
    sys.exit(main())
