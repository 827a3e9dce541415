"""Run beside a release of transformers: exports checkpoints, and says what came of each.

Usage: python exported_by_release.py CHECKPOINTS ARTIFACTS. CHECKPOINTS is a folder of them; those whose names end in
the newest release's are exported in int8 too. It prints JSON: the release that ran, and by checkpoint and precision the
artifact's identity and the digests of its graph, weights and tokenizer.
"""

import json
import sys
from pathlib import Path

import torch
import transformers

from simcse_engine.artifact.manifest import GRAPH, TOKENIZER, WEIGHTS
from simcse_export import ExportOptions, export
from support.releases import NEWEST

CHECKPOINTS, ARTIFACTS = map(Path, sys.argv[1:3])

torch.set_num_threads(1)
made = {}
for checkpoint in sorted(CHECKPOINTS.iterdir()):
    for precision in ("fp32", "int8") if checkpoint.name.endswith(NEWEST) else ("fp32",):
        name = f"{checkpoint.name}, {precision}"
        manifest = export(checkpoint, ARTIFACTS / name, ExportOptions(pooler="avg", precision=precision))
        files = {file: manifest.files[file].sha256 for file in (GRAPH, WEIGHTS, TOKENIZER)}
        made[name] = {"identity": manifest.identity, **files}
print(json.dumps({"release": transformers.__version__, "made": made}))
