"""The page on other programs: FastEmbed, fed as the page says, gives transformers' vectors."""

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import Manifest
from simcse_engine.measure import parity
from simcse_export import ExportOptions
from support.environments import environment
from support.forward import TEXTS, forward
from support.maker import Maker, short_calibration

PAGE = (Path(__file__).resolve().parents[2] / "docs/programs.md").read_text(encoding="utf-8")
FASTEMBED = "fastembed==0.9.1"
_SECONDS = 120


@pytest.mark.parametrize(
    ("family", "pooler", "precision"), [("bert", "cls", "fp32"), ("roberta", "avg_first_last", "int8")]
)
def test_fastembed(tmp_path_factory: pytest.TempPathFactory, family: str, pooler: str, precision: str) -> None:
    maker = Maker(tmp_path_factory)
    calibration = short_calibration(tmp_path_factory) if precision == "int8" else None
    artifact = maker.artifact(
        family, ExportOptions(pooler=pooler, precision=precision, calibration=calibration, layout="padded")
    )
    expected = forward(maker.checkpoint(family), pooler, TEXTS)
    for vectors in in_fastembed(artifact, TEXTS, (1, 7, len(TEXTS))):
        if precision == "fp32":
            np.testing.assert_allclose(vectors, expected, rtol=0, atol=2e-6)
        else:
            parity.compare(vectors, expected).require("int8")
            with Encoder(artifact, truncate="silent") as encoder:
                assert parity.compare(vectors, encoder.encode(TEXTS)).min_cosine > 0.99


def test_the_page_names_the_release() -> None:
    assert f"FastEmbed {FASTEMBED.partition('==')[2]}" in PAGE


def in_fastembed(artifact: Path, texts: list[str], batch_sizes: tuple[int, ...]) -> list[NDArray[np.float32]]:
    (recipe,) = re.findall(r"^```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    recipe = recipe.replace("./minilm-padded", str(artifact))
    recipe = recipe.replace("dim=384", f"dim={Manifest.read(artifact).dimension}")
    recipe += "import json, sys\ntexts = json.load(sys.stdin)\n"
    recipe += f"found = [model.embed(texts, batch_size=size) for size in {batch_sizes}]\n"
    recipe += "print(json.dumps([[vector.tolist() for vector in vectors] for vectors in found]))\n"
    python = environment("fastembed", FASTEMBED)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-c", recipe],
        input=json.dumps(texts),
        env=clean | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [np.array(vectors, np.float32) for vectors in json.loads(done.stdout)]
