"""The command `compile`: an artifact for TensorRT, compiled on the machine that will run it."""

import argparse
from pathlib import Path

from .arguments import PROGRAM, Commands, add_artifact, add_command
from .info import manifest_lines
from .output import print_result
from .signals import telling_what_is_safe
from .streams import print_message


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    text = "compile an artifact for TensorRT, on the machine that will run it, as a new artifact"
    parser = add_command(commands, "compile", text, run)
    add_artifact(parser)
    parser.add_argument("-o", "--output", metavar="NEW", type=Path, required=True, help="folder to make")
    parser.add_argument("--device", default="cuda", help="cuda or cuda:N, to compile on and for (default: %(default)s)")
    parser.add_argument(
        "--timings", metavar="FOLDER", type=Path, help="keep TensorRT's timings there, to compile faster next time"
    )
    parser.add_argument("--force", action="store_true", help="replace an artifact that is there already")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..artifact.hub import locate
    from ..compiling import CompileOptions, compile_artifact

    options = CompileOptions(device=args.device, timings=args.timings, force=args.force)
    with telling_what_is_safe(PROGRAM, lambda: "nothing was published"):
        manifest = compile_artifact(locate(args.artifact), args.output, options, say=print_message)
    print_result(args, manifest.to_json(), lambda: manifest_lines(args.output, manifest))
