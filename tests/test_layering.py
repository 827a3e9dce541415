"""Which file may import which: export → engine, one reader of each heavy library, and nothing heavy in the engine."""

import ast
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENGINE, EXPORT = ROOT / "engine/simcse_engine", ROOT / "export/simcse_export"
BENCHMARKS = ROOT / "benchmarks"

HEAVY = {"torch", "transformers", "onnx", "optimum", "safetensors", "sentence_transformers", "scipy", "sklearn"}

# The files that import each library.
READERS = {
    "onnxruntime": {"session/library.py"},
    "onnxruntime_ep_nv_tensorrt_rtx": {"session/tensorrt/libraries.py"},
    "tokenizers": {"tokenizer.py"},
    "huggingface_hub": {"artifact/hub.py", "artifact/upload.py"},
    "pyarrow": {"files/arrow.py"},
    "zstandard": {"files/compressed.py"},
    "compression": {"files/compressed.py"},  # Python's own, from 3.14 on
    "ray": {"shards/cluster.py"},
    "matplotlib": {"measure/plot.py"},
    "shtab": {"cli/completion.py"},
    "tqdm": {"progress.py", "simcse.py", "cli/bars.py", "cli/bench.py"},
    "usearch": {"index/ann/usearch.py"},
    "numkong": {"index/search/products.py"},
    "uvicorn": {"serve/server/protocol.py", "serve/server/server.py"},
    "httptools": {"serve/server/protocol.py"},
    "uvloop": {"serve/server/server.py"},
    "prometheus_client": {"serve/metrics.py"},
    "orjson": {"serve/http/arrays.py"},
    "chromadb": {"integrations/chroma.py"},
    "haystack": {"integrations/haystack.py"},
    "lancedb": {"integrations/lancedb.py"},
    "langchain_core": {"integrations/langchain.py"},
    "llama_index": {"integrations/llama_index.py"},
    "mteb": {"integrations/mteb.py"},
    "msgspec": {
        f"serve/{name}.py"
        for name in (
            *("application", "openapi", "http/messages", "http/problems"),
            *("routes/checks", "routes/openai", "routes/tei"),
            *(f"routes/index/{family}" for family in ("answers", "changes", "entries", "members", "search")),
        )
    },
    "sqlite3": {
        f"index/storage/{name}.py"
        for name in ("connections", "faults", "hold", "keywords", "schema", "store", "transactions")
    },
}

# Libraries of formats that not everybody has.
FORMATS = {"pyarrow", "zstandard", "compression"}

# What the engine imports beside the standard library and its readers' libraries.
ENGINE_LIBRARIES = {"numpy"}


@functools.cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """A file's syntax tree, flat."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))))


@functools.cache
def imports(path: Path) -> tuple[tuple[str, ast.AST], ...]:
    """Every module that a file imports, wherever in it, by its full name, with the statement."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, ast.AST]]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), node
        elif isinstance(node, ast.Call):
            # importlib.import_module("torch") and __import__("torch") are imports too.
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value), node


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name, _ in imports(path) if not name.startswith(".")}


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


@pytest.mark.parametrize("path", files(ENGINE), ids=lambda path: path.name)
def test_engine_stays_slim(path: Path) -> None:
    assert not tops(path) & {"simcse_export", *HEAVY}
    read_here = {library for library, readers in READERS.items() if path.relative_to(ENGINE).as_posix() in readers}
    allowed = ENGINE_LIBRARIES | {"simcse_engine"} | read_here | _type_checking_only(path)
    assert not tops(path) - allowed - _standard_library()


def test_there_is_something_to_look_at() -> None:
    assert len(files(ENGINE)) > 10
    assert len(files(EXPORT)) > 5


@pytest.mark.parametrize("library", READERS)
def test_readers_of_a_library(library: str) -> None:
    readers = {path for path in files(ENGINE) if library in tops(path) - _type_checking_only(path)}
    assert {path.relative_to(ENGINE).as_posix() for path in readers} == READERS[library]


def test_one_file_makes_sessions_of_the_runtime() -> None:
    def makes(path: Path) -> bool:
        return any(isinstance(node, ast.Attribute) and node.attr == "InferenceSession" for node in nodes(path))

    makers = [path for path in files(ENGINE) + files(EXPORT) if makes(path)]
    assert [path.relative_to(ENGINE).as_posix() for path in makers] == ["session/maker.py"]


# Files and folders, lowest first: each may import from those left of its <, and from none beside it.
ORDER = {
    ENGINE: (
        "_version pieces wording < errors < cuts machine < files < artifact < inputs session tokenizer < distinct "
        "forms progress prompts schedule selection < options replica < runner < model pipeline < streaming < encoder < "
        "batching index measure shards < compiling doctor integrations serve simcse < cli"
    ),
    ENGINE / "session": "feeds kernels maker session < library < graph < cpu cuda tensorrt < opening",
    ENGINE / "session/cuda": "buckets shared_lock < cudart < slot < cuda_graphs < session",
    ENGINE / "session/tensorrt": "libraries plans < rtx < session",
    ENGINE / "artifact": (
        "checkpoints kinds parts protobuf < fields operators references written < manifest < hub opening output < "
        "upload"
    ),
    ENGINE / "machine": "cgroups device forks kernels nvidia < cpu limits",
    ENGINE / "index": (
        "checks limits < storage < ann made < search < batches binding info stale < rows upkeep < writer < "
        "writing < adding asking < changes walk < contents < index < copying filling"
    ),
    ENGINE / "files": (
        "cells columns compressed kinds locks < handles < refusals < arrow lines opening staging < atomic columnar "
        "delimited reading < columnar_rows < tables vectors < blocks entries texts < new_entries"
    ),
    ENGINE / "shards": "settings sources < plan rows < shard < folder worker < cluster",
    ENGINE / "index/storage": (
        "comparisons exact faults hold keys regular words < key_kinds keywords lock reserve vectors where < "
        "connections records < schema < transactions < changes < store"
    ),
    ENGINE / "index/ann": "layout saved scheme < usearch walk < lent < graph",
    ENGINE / "index/search": (
        "pairs products queries team < codes matches < kernels views < "
        "code_scan cosines fusion keyword_matches known masks scans < exact hits < candidates < searcher"
    ),
    ENGINE / "serve": (
        "extra http logs metrics options shared_index warm < service < openapi < routes < account < application < "
        "server"
    ),
    ENGINE / "serve/http": "accept arrays problems < messages < watch",
    ENGINE / "serve/server": "address hosts protocol < server",
    ENGINE / "serve/routes": "route < checks < index openai operations page tei < table",
    ENGINE / "serve/routes/index": "access members < answers < changes entries search",
    ENGINE / "batching": "backlog cache forming job < intake queue < runs < batcher < async_encoder",
    ENGINE / "integrations": "encoders frameworks ray < chroma haystack lancedb langchain llama_index mteb",
    ENGINE / "measure": "cosines pairs parity results samples ways < senteval < sts < bench quality < plot",
    ENGINE / "doctor": "child < facts < rules < report",
    ENGINE / "cli": (
        "bars streams widths < completion parser signals < arguments < output program shard_options < info sharding < "
        "bench compile doctor encode evaluate index search serve similarity verify < main < __main__"
    ),
    EXPORT: (
        "options tail texts < checkpoint < int8 < graph < float32 gate targets tensorrt < card variant whiten < "
        "hub pipeline < cli"
    ),
    EXPORT / "checkpoint": (
        "architecture attention_bias json_file names quiet transformers_5 < adapters keys length ranges "
        "tokenizer_parts < weights < modules < sentence_transformers < checkpoint < tokenizer < reference < model < "
        "beside"
    ),
    EXPORT / "tail": "part < dense head norm whitening",
    EXPORT / "int8": "calibration rounding steps < quantize",
    EXPORT / "graph": "nodes operators < functions layouts < pooling < dialects < bert optimum",
    EXPORT / "graph/layouts": "layout < end_to_end grid packed < even padded ragged",
    EXPORT / "graph/dialects": "dialect < activations bf16 gpu int8 < cuda padded tensorrt",
    BENCHMARKS: (
        "asking flops peak record statistics tether turns < inputs kept libraries < contest report search < "
        "choices scale serve < gpu < __main__"
    ),
    BENCHMARKS / "contest": (
        "peers < settings < contestant < field < cold_start latency lengths memory quality size threads versus"
    ),
    BENCHMARKS / "gpu": (
        "answers attention environment matrix_peak plan < peers preparation question_table < field < "
        "bulk callers checks sizes spelled < questions < __main__"
    ),
    BENCHMARKS / "scale": "driver < actors",
    BENCHMARKS / "serve": (
        "arrivals client clock fastapi_service routes servers wrk < peers plan < connection load settings < "
        "generator stage < drain kills mixed short < batches offered < alone overload < __main__"
    ),
}


@pytest.mark.parametrize("folder", ORDER, ids=lambda folder: folder.name)
def test_imports_go_one_way(folder: Path) -> None:
    rank = {name: i for i, names in enumerate(ORDER[folder].split("<")) for name in names.split()}
    # A folder's own file says what is in it, or offers all of it.
    rank["__init__"] = -1 if "from ." not in (folder / "__init__.py").read_text(encoding="utf-8") else len(rank)
    assert rank.keys() == {_place(path, folder) for path in files(folder)}, "every file and folder has a rank"
    for path in files(folder):
        own = _place(path, folder)
        for target in _imported_places(path, folder):
            assert target == own or rank[target] < rank[own], f"{path} imports {target}"


# The files outside of `session/tensorrt` that may know of it: whatever opens, compiles or diagnoses for it.
TENSORRT_READERS = {
    "engine/simcse_engine/session/opening.py",
    "engine/simcse_engine/compiling.py",
    "engine/simcse_engine/doctor/facts.py",
    "engine/simcse_engine/doctor/child.py",
    "engine/simcse_engine/doctor/rules.py",
    "export/simcse_export/tensorrt/rtx.py",
}


def test_few_know_of_tensorrt() -> None:
    wall = ENGINE / "session/tensorrt"
    readers = set()
    for path in files(ENGINE) + files(EXPORT):
        beside = path.parent == wall.parent
        knows = any("session.tensorrt" in name or (beside and ".tensorrt" in name) for name, _ in imports(path))
        if knows and wall not in path.parents:
            readers.add(path.relative_to(ROOT).as_posix())
    assert readers == TENSORRT_READERS


def _place(path: Path, folder: Path) -> str:
    """The file or folder directly in ``folder`` that ``path`` is or lies in."""
    return path.relative_to(folder).parts[0].removesuffix(".py")


def _imported_places(path: Path, folder: Path) -> Iterator[str]:
    """The places in ``folder`` that a file imports while it runs, without those only for its types."""
    for _, node in imports(path):
        if not isinstance(node, ast.ImportFrom) or not node.level or _in_type_checking(path, node):
            continue
        base = path.parents[node.level - 1]
        for name in [node.module.split(".")] if node.module else [[alias.name] for alias in node.names]:
            target = base.joinpath(*name)
            # A name that is no module stands in the package's own file.
            found = target if target.is_dir() or target.with_suffix(".py").is_file() else base / "__init__"
            if found.is_relative_to(folder) and found != folder:
                yield found.relative_to(folder).parts[0]


@pytest.mark.parametrize("path", files(ENGINE), ids=lambda path: path.name)
def test_engine_imports_itself_relatively(path: Path) -> None:
    if path.name != "__main__.py":
        assert not any(name.startswith("simcse_engine") for name, _ in imports(path))


@pytest.mark.parametrize("path", files(EXPORT), ids=lambda path: path.name)
def test_export_leaves_the_runtime_to_the_engine(path: Path) -> None:
    forbidden = {"onnxruntime", "huggingface_hub", "tokenizers", "tests", "benchmarks"}
    assert not (tops(path) - _type_checking_only(path)) & forbidden


def test_one_file_of_export_reads_the_compiler_of_tensorrt_for_rtx() -> None:
    assert [path.name for path in files(EXPORT) if "tensorrt_rtx_bindings" in tops(path)] == ["rtx.py"]


def test_one_file_of_export_reads_optimum_and_only_where_a_model_needs_it() -> None:
    statements = [
        (path.name, node) for path in files(EXPORT) for name, node in imports(path) if name.split(".")[0] == "optimum"
    ]
    assert {name for name, _ in statements} == {"optimum.py"}
    assert all(node.col_offset > 0 for _, node in statements), "an import at the top needs the extra for every model"


@pytest.mark.parametrize("path", files(ENGINE) + files(EXPORT), ids=lambda path: path.name)
def test_nobody_imports_tests_or_benchmarks(path: Path) -> None:
    assert not tops(path) & {"tests", "benchmarks", "support", "pytest", "hypothesis", "conftest"}


def test_benchmarks_do_not_import_tests() -> None:
    for path in files(BENCHMARKS):
        assert not tops(path) & {"tests", "pytest", "conftest", "checkpoints"}, path


def test_base_dependencies_are_what_the_engine_imports() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    stated = {name.replace("-", "_") for name in re.findall(r'"([\w-]+)', found[1])}
    used = set().union(*(tops(path) for path in files(ENGINE))) - _standard_library() - {"simcse_engine"}
    # The runtime, its plugin, formats, plots and serving are extras.
    assert stated == used - {
        "onnxruntime",
        "onnxruntime_ep_nv_tensorrt_rtx",
        "pyarrow",
        "zstandard",
        "compression",
        "ray",
        "matplotlib",
        "shtab",
        "msgspec",
        "orjson",
        "prometheus_client",
        "uvloop",
        "uvicorn",
        "httptools",
        # What an adapter is for is there, or nobody imports the adapter.
        *(library for library, readers in READERS.items() if all(name.startswith("integrations/") for name in readers)),
    }


def _standard_library() -> set[str]:
    return set(sys.stdlib_module_names)


@functools.cache
def _type_checking_blocks(path: Path) -> list[ast.If]:
    return [
        node
        for node in nodes(path)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]


def _type_checking_only(path: Path) -> set[str]:
    inside = [node for block in _type_checking_blocks(path) for node in ast.walk(block)]
    return {name.name.split(".")[0] for node in inside if isinstance(node, ast.Import) for name in node.names}


def _in_type_checking(path: Path, node: ast.ImportFrom) -> bool:
    return any(block.lineno <= node.lineno <= (block.end_lineno or 0) for block in _type_checking_blocks(path))
