"""Do a second session on a device, and further devices, raise throughput?

python -m benchmarks.choices.devices ARTIFACT      on the first device of the artifact's target, and on all of them

Sentences per second from text to vector: one session, two on the same device, and where there are several GPUs one on
each. On a CPU, where sessions share the threads, it shows that nothing is gained.
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from simcse_engine import Encoder

from ..inputs import sentences
from ..record import write_result
from ..statistics import over, rates
from ..turns import alternate, timed

ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--sentences", type=int, default=60_000, help="in each round (default: %(default)s)")
    arguments = parser.parse_args()
    found = sentences()
    # Numbered, as an encoder runs a text once however often it stands there.
    texts = [f"{found.texts[i % len(found.texts)]} {i}" for i in range(arguments.sentences)]
    with ExitStack() as opened:
        open_on = partial(_open, arguments.artifact, opened)
        every = open_on("all")
        device = every.devices[0]
        encoders = {"one": open_on([device]), "two_on_one": open_on([device, device])}
        if len(every.devices) > 1:
            encoders["all"] = every
        contestants: dict[str, Callable[[list[str]], float]] = {
            name: timed(encoder.encode) for name, encoder in encoders.items()
        }
        seconds = alternate(contestants, [texts] * ROUNDS)
        about = {
            "question": "do more sessions and devices raise throughput?",
            "artifact": every.manifest.source.id,
            "precision": every.manifest.precision,
            "devices": {name: encoder.devices for name, encoder in encoders.items()},
            "sentences": f"{found.source}; {len(texts):,} of them, numbered",
        }
    figures = {
        "sentences_per_second": rates(seconds, len(texts)),
        "rate_over_one": over({name: [1 / each for each in many] for name, many in seconds.items()}, "one"),
    }
    write_result("devices", about, figures)


def _open(artifact: Path, opened: ExitStack, devices: list[str] | str) -> Encoder:
    return opened.enter_context(Encoder(artifact, devices=devices, truncate="silent", optimize_for="throughput"))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
