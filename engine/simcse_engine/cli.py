"""The command line, `simcse-engine`: each command opens what it needs, calls the library and says what came of it.

Results go to stdout (with ``--json`` as one JSON document), everything else to stderr. The exit code is 0, 1 for a
failure, 2 for wrong use and 130 after Ctrl-C. What only one command needs is imported by that command.
"""

import argparse
import contextlib
import itertools
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .errors import InputValueError, SimCSEError, TruncationWarning

if TYPE_CHECKING:
    from .encoder import Encoder

PROGRAM = "simcse-engine"
INTERRUPTED = 130  # what shells report of a program that Ctrl-C ended: 128 + SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; wrong use ends in SystemExit(2), as argparse has it."""
    args = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        code = run(args)
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

    from .textfile import open_texts
    from .vectorfile import check_target, create_vectors

    check_target(args.output)
    rows = 0
    with open_texts(args.file) as texts, _noted_cuts() as notes, _encoder(args) as encoder:
        # The second branch holds just the texts that the encoder has read ahead of its vectors.
        encoded, kept = itertools.tee(texts)
        # disable=None: no bar where stderr is no terminal.
        with create_vectors(args.output, encoder.dimension) as write, tqdm(unit=" texts", disable=None) as bar:
            for vectors in encoder.stream(encoded):
                write(list(itertools.islice(kept, len(vectors))), vectors)
                rows += len(vectors)
                bar.update(len(vectors))
        dimension, identity = encoder.dimension, encoder.manifest.identity
    if args.json:
        _print_json(
            {"output": str(args.output), "rows": rows, "dimension": dimension, "identity": identity, "warnings": notes}
        )
    else:
        print(f"{args.output}: {rows:,} rows of {dimension} floats", file=sys.stderr)
    return 0


def _similarity(args: argparse.Namespace) -> int:
    from .printout import cosine_table, cosines

    sentences = [args.first, *args.others]
    with _noted_cuts() as notes, _encoder(args) as encoder:
        values = cosines(encoder.encode(sentences))
    if args.json:
        _print_json({"sentences": sentences, "cosines": values.tolist(), "warnings": notes})
    elif len(sentences) == 2:
        print(f"{values[0, 1]:.4f}")
    else:
        print(cosine_table(sentences, values))
    return 0


def _info(args: argparse.Namespace) -> int:
    from .artifact import MANIFEST, Manifest
    from .hub import locate
    from .printout import manifest_lines

    folder = locate(args.artifact, files=[MANIFEST])
    manifest = Manifest.read(folder)
    if args.json:
        _print_json(manifest.to_json())
    else:
        print(manifest_lines(folder, manifest))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from .encoder import Encoder
    from .hub import locate
    from .parity import LIMITS, verify
    from .printout import parity_lines

    folder = locate(args.artifact)
    # With the artifact's own max_tokens and nothing said of cuts: some of its check texts are too long on purpose.
    with Encoder(folder, device=args.device, threads=args.threads) as encoder:
        parity = verify(encoder, folder)
        precision = encoder.manifest.precision
    if args.json:
        _print_json({"passed": True, "precision": precision, **parity.to_json()})
    else:
        print(parity_lines(parity, LIMITS[precision]))
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from .doctor import examine

    found = examine()
    if args.json:
        _print_json(found.to_json())
    else:
        print(found.render())
    return 0 if found.healthy else 1


def _encoder(args: argparse.Namespace) -> "Encoder":
    from .encoder import Encoder

    return Encoder(
        args.artifact, device=args.device, threads=args.threads, truncate=args.truncate, max_tokens=args.max_tokens
    )


@contextlib.contextmanager
def _noted_cuts() -> Iterator[list[str]]:
    """Say each TruncationWarning in one line on stderr and note it in the list given; others take their own way."""
    notes: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", TruncationWarning)
        show = warnings.showwarning

        def note(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, TruncationWarning):
                show(message, category, *where, **more)
                return
            notes.append(str(message))
            print(f"{PROGRAM}: warning: {message}", file=sys.stderr)

        warnings.showwarning = note
        yield notes


def _print_json(content: Any) -> None:
    # In ASCII, the default, so that no terminal's or pipe's encoding can be in the way.
    print(json.dumps(content, indent=2))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        PROGRAM, description="Sentences to vectors with an exported SimCSE artifact.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False)
        added.add_argument("--json", action="store_true", help="one JSON document on stdout")
        added.set_defaults(run=run)
        return added

    encode = command("encode", _encode, "encode a file of sentences, one a line, into a file of vectors")
    _add_artifact(encode)
    encode.add_argument(
        "file", metavar="FILE", nargs="?", default="-", help="UTF-8 lines, .jsonl or .parquet; - or nothing for stdin"
    )
    encode.add_argument(
        *("-o", "--output"), metavar="OUT", required=True, type=_output, help=".npy, .jsonl or .parquet; is replaced"
    )
    similarity = command("similarity", _similarity, "print the cosines between sentences")
    _add_artifact(similarity)
    similarity.add_argument("first", metavar="SENTENCE")
    similarity.add_argument("others", metavar="SENTENCE", nargs="+")
    info = command("info", _info, "say what an artifact is, as its manifest tells")
    _add_artifact(info)
    verify = command("verify", _verify, "compare an artifact's vectors, computed here, with the reference model's")
    _add_artifact(verify)
    command("doctor", _doctor, "examine this installation and machine, and say what to do about each finding")

    for opens_encoder in (encode, similarity, verify):
        opens_encoder.add_argument("--device", help="cpu, cuda or cuda:N; the artifact's target without it")
        opens_encoder.add_argument("--threads", type=_count, metavar="N", help="without it, all that is allowed here")
    for takes_texts in (encode, similarity):
        takes_texts.add_argument(
            "--truncate",
            choices=("warn", "error", "silent"),
            default="warn",
            help="what to do with texts longer than the limit (default: cut them and warn)",
        )
        takes_texts.add_argument("--max-tokens", type=_count, metavar="N", help="a lower limit than the artifact's")
    return parser


def _add_artifact(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("artifact", metavar="ARTIFACT", help="an artifact's folder, or a hub id user/name[@revision]")


def _output(name: str) -> Path:
    from .vectorfile import check_suffix

    try:
        check_suffix(Path(name))
    except InputValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Path(name)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
