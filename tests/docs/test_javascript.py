"""The page on JavaScript: its programs give the vectors of transformers and of `Encoder`."""

import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from simcse_engine import Encoder
from simcse_engine.artifact.manifest import Manifest
from simcse_engine.measure import parity
from simcse_engine.session.kernels import without_kernels
from simcse_export import ExportOptions
from support.browser import browsing
from support.environments import node_modules
from support.maker import Maker, short_calibration

PAGE = Path(__file__).resolve().parents[2] / "docs/javascript.md"
TOKENIZERS = "@huggingface/tokenizers@0.2.0"
KINDS = [("bert", "cls"), ("roberta", "avg_first_last")]
PRECISIONS = ("fp32", "int8")
_SECONDS = 120

Artifacts = dict[tuple[str, str | None, str], Path]
Run = Callable[[Path, Sequence[str]], NDArray[np.float32]]

# Calls the function that a module's one export opens, on texts from stdin.
_CALL = """
import { readFileSync } from "node:fs";
const [, , module, folder] = process.argv;
const [open] = Object.values(await import(module));
const encode = await open(folder);
const vectors = await encode(JSON.parse(readFileSync(0, "utf8")));
process.stdout.write(JSON.stringify(vectors.map((vector) => Array.from(vector))));
"""


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """By family, layout and precision."""
    maker, calibration = Maker(tmp_path_factory), short_calibration(tmp_path_factory)
    made = {}
    for family, pooler in KINDS:
        for precision in PRECISIONS:
            for layout in (None, "padded"):
                options = ExportOptions(
                    pooler=pooler,
                    precision=precision,
                    layout=layout,
                    calibration=calibration if precision == "int8" else None,
                )
                made[family, layout, precision] = maker.artifact(family, options)
    return made


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("family", [family for family, _ in KINDS])
def test_node(artifacts: Artifacts, tmp_path: Path, family: str, precision: str) -> None:
    packages = node_modules("onnxruntime-node", TOKENIZERS, "onnxruntime-node@1.30.0")
    run = partial(in_node, block("js"), packages, tmp_path)
    check(artifacts[family, None, precision], run)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("family", [family for family, _ in KINDS])
def test_transformers_js(artifacts: Artifacts, tmp_path: Path, family: str, precision: str) -> None:
    packages = node_modules("transformers", "@huggingface/transformers@4.3.2")
    run = partial(in_node, block("mjs"), packages, tmp_path)
    check(artifacts[family, "padded", precision], run)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_browser(artifacts: Artifacts, tmp_path: Path, precision: str) -> None:
    packages = node_modules("onnxruntime-web", TOKENIZERS, "onnxruntime-web@1.30.0")
    artifact = artifacts["bert", None, precision]
    (tmp_path / "node_modules").symlink_to(packages)
    (tmp_path / "minilm").symlink_to(artifact)
    (tmp_path / "index.html").write_text(block("html"), encoding="utf-8")
    with serving(tmp_path) as url, browsing() as browser, browser.open(url) as page:
        dimension = Manifest.read(artifact).dimension
        says = page.wait("document.body?.textContent.includes('numbers') && document.body.textContent")
        assert says == f"{dimension} numbers"

        def run(folder: Path, texts: Sequence[str]) -> NDArray[np.float32]:
            assert folder == artifact
            encoding = f"(async () => {{ const all = []; for (const text of {json.dumps(list(texts))}) "
            encoding += "all.push(Array.from(await encode(text))); return all; })()"
            return np.array(page.evaluate(encoding), np.float32)

        check(artifact, run)
        # Whatever it needs lies beside the page.
        assert not page.external()
        assert not [each for each in page.failed if "favicon" not in each]


def check(artifact: Path, run: Run) -> None:
    """Fail unless ``run``, given a folder and texts, gives the vectors of the reference and of `Encoder`."""
    texts, reference = parity.load_check(artifact)
    vectors = run(artifact, texts)
    with without_kernels(), Encoder(artifact, truncate="silent") as encoder:
        own = encoder.encode(texts)
        precision = encoder.manifest.precision
    assert vectors.shape == reference.shape
    parity.compare(vectors, reference).require(precision)
    differences = np.abs(vectors - own).max(axis=1)
    if precision == "fp32":
        assert differences.max() <= 1e-6
        return
    # Another build of the runtime may add in another order, and a rounding in between fall to the other side.
    assert np.median(differences) <= 1e-6
    assert parity.compare(vectors, own).min_cosine > 0.99


def in_node(module: str, packages: Path, place: Path, artifact: Path, texts: Sequence[str]) -> NDArray[np.float32]:
    (place / "node_modules").symlink_to(packages)
    (place / "module.mjs").write_text(module, encoding="utf-8")
    (place / "call.mjs").write_text(_CALL, encoding="utf-8")
    done = subprocess.run(
        ["node", "call.mjs", "./module.mjs", artifact],
        input=json.dumps(list(texts)),
        cwd=place,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return np.array(json.loads(done.stdout), np.float32)


def block(language: str) -> str:
    """The page's one block of this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(found.splitlines()) <= 40
    return str(found)


class _Handler(SimpleHTTPRequestHandler):
    extensions_map: ClassVar = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_: object) -> None:
        """Nothing: the browser says what it could not fetch."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/index.html"
        finally:
            server.shutdown()
            thread.join()
