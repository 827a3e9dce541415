"""The command `verify`: an artifact's vectors on this machine against the reference model's."""

import argparse
import contextlib
import warnings
from typing import TYPE_CHECKING

from .arguments import PROGRAM, Commands, add_artifact, add_command, add_encoder_options
from .bars import Bar
from .output import print_result
from .streams import message_of, print_message

if TYPE_CHECKING:
    from ..measure.parity import Limit, Parity


def add_parser(commands: Commands) -> None:
    """Declare the command."""
    text = "compare an artifact's vectors, computed here, with the reference model's"
    parser = add_command(commands, "verify", text, run)
    add_artifact(parser)
    add_encoder_options(parser)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..artifact.hub import locate
    from ..encoder import Encoder
    from ..errors import OutputError, UnverifiedWarning
    from ..measure.parity import limit_of, load_check, record, verify, worst
    from ..measure.ways import both_ways, way

    folder = locate(args.artifact)

    def opening() -> Encoder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnverifiedWarning)
            # The artifact's own limit, and no warnings of cuts: some of its check texts are too long on purpose.
            return Encoder(folder, device=args.device, threads=args.threads)

    with both_ways(opening) as encoders:
        with contextlib.closing(Bar("vectors", 2 * len(load_check(folder)[0]) * len(encoders))) as bar:
            measured = {way(encoder): verify(encoder, folder, bar.advance) for encoder in encoders}
        parity, manifest = worst(list(measured.values())), encoders[0].manifest
        recorded = manifest.verified is None and encoders[0].device != "cpu"
        if recorded:
            try:
                record(folder, manifest, parity)
            except OutputError as error:
                # It has passed all the same, as in a container that only reads its artifact.
                print_message(f"{PROGRAM}: warning: passed, and the manifest cannot say so: {message_of(error)}")
                recorded = False
    report = {
        **{"passed": True, "recorded": recorded, "precision": manifest.precision, **parity.to_json()},
        "by_kernels": {name: each.to_json() for name, each in measured.items()},
    }
    limit = limit_of(manifest.precision, manifest.architecture)
    print_result(args, report, lambda: _parity_lines(parity, list(measured), limit, recorded))


def _parity_lines(parity: "Parity", ways: list[str], limit: "Limit", recorded: bool) -> str:
    """The figures of a passed verification beside their limits, and whether the manifest was changed."""
    both = f", with the {ways[0]} kernels and without, at worst" if len(ways) > 1 else ""
    return "\n".join(
        [
            f"agrees with the reference model on {parity.vectors} vectors{both}:",
            f"  max abs difference  {parity.max_abs_difference:.2e}    (limit {limit.max_abs_difference:g})",
            f"  min cosine          {parity.min_cosine:.8f}  (limit {limit.min_cosine:g})",
            f"  mean cosine         {parity.mean_cosine:.8f}",
            f"  max norm error      {parity.max_norm_error:.2e}",
            *(["the manifest says so from now on"] if recorded else []),
        ]
    )
