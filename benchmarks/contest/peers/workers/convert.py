"""CTranslate2's own converter, run where torch and transformers are.

python -m benchmarks.contest.peers.workers.convert SITE_PACKAGES_WITH_CTRANSLATE2 CHECKPOINT OUTPUT_FOLDER
"""

import importlib
import sys


def main(packages: str, checkpoint: str, target: str) -> None:
    # At the end: of what both environments have, this one's is taken.
    sys.path.append(packages)
    converters = importlib.import_module("ctranslate2.converters")
    converters.TransformersConverter(checkpoint).convert(target, force=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
