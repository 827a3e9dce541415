"""The command: what it prints, its exit codes, and what is left when it is stopped."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from simcse_engine import Encoder, __version__
from simcse_engine.artifact.kinds import POOLERS
from simcse_engine.artifact.manifest import Manifest
from simcse_engine.artifact.opening import open_artifact
from simcse_engine.errors import ArtifactNotFoundError
from simcse_export.cli import main
from simcse_export.texts.corpora import built_in
from support.checkpoints import edit_weights, make_checkpoint, make_sentence_transformers, write_json


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("cli") / "tiny")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_success(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    artifact = tmp_path / "artifact"
    assert main([str(checkpoint), "-o", str(artifact), "--pooler", "cls"]) == 0
    out, err = capsys.readouterr()
    summary, agreement = out.splitlines()
    length = "at most 64 tokens (max_position_embeddings in config.json)"
    assert summary.startswith(f"{artifact}: tiny, pooler cls, fp32 for cpu, dimension 32, {length}, ")
    assert agreement.startswith("agrees with transformers on 38 texts: max abs difference ")
    assert [line[:5] for line in err.splitlines()] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]


def test_what_no_artifact_heeds_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_sentence_transformers(tmp_path / "folder")
    path = folder / "config_sentence_transformers.json"
    write_json(path, {"temperature": 0.05, "similarity_fn_name": "dot"})
    assert main([str(folder), "-o", str(tmp_path / "artifact")]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert told == [
        f"simcse-export: warning: {path}: the key 'temperature' is unknown, and no artifact heeds it",
        f"simcse-export: warning: {path}: similarity_fn_name is 'dot'; vectors are compared by cosine here",
    ]


def test_options_reach_the_export(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    artifact = tmp_path / "artifact"
    options = ["--pooler", "avg_top2", "--max-tokens", "20", "--no-normalize", "--json"]
    assert main([str(checkpoint), "-o", str(artifact), *options]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((artifact / "manifest.json").read_text())
    manifest = Manifest.read(artifact)
    assert (manifest.pooler, manifest.max_tokens, manifest.normalized) == ("avg_top2", 20, False)
    assert main([str(checkpoint), "-o", str(artifact), *options, "--layout", "padded", "--force"]) == 0
    assert Manifest.read(artifact).layout == "padded"
    assert main([str(checkpoint), "-o", str(artifact), *options, "--force"]) == 0
    assert Manifest.read(artifact) == manifest


@pytest.fixture(scope="module")
def int8_options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """For int8 with an STS folder and a calibration file, short for the time it takes."""
    folder = tmp_path_factory.mktemp("int8")
    (folder / "mine.txt").write_text("\n".join(built_in("calibration")[::8]), encoding="utf-8")
    (folder / "cats.tsv").write_text("5\tthe cat\ta cat\n3\tthe dog\ta cat\n0\ta man plays\tthe mat\n")
    options = ["--pooler", "cls", "--precision", "int8", "--calibration", str(folder / "mine.txt")]
    return [*options, "--sts", str(folder), "--max-tokens", "32", "--max-quality-drop"]


def test_int8(checkpoint: Path, int8_options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    artifact = tmp_path / "artifact"
    assert main([str(checkpoint), "-o", str(artifact), *int8_options, "200"]) == 0
    out, err = capsys.readouterr()
    summary, agreement, cost = out.splitlines()
    assert summary.startswith(
        f"{artifact}: tiny, pooler cls, int8 for cpu, dimension 32, at most 32 tokens (as chosen), "
    )
    assert agreement.startswith("agrees with transformers on 38 texts: max abs difference ")
    assert re.fullmatch(
        r"quality: cosine to fp32 0\.\d{4} on average, 0\.\d{4} at least; "
        r"STS Spearman -?\d+\.\d\d, fp32 -?\d+\.\d\d \(average of 1 tasks\)",
        cost,
    )
    assert [line[:5] for line in err.splitlines()] == [f"[{i}/6]" for i in range(1, 7)]
    quality = Manifest.read(artifact).quality
    assert quality is not None
    assert quality["calibration"] == "mine.txt"
    assert quality["sts"]["tasks"].keys() == {"cats"}


def test_int8_that_costs_too_much(
    checkpoint: Path, int8_options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(checkpoint), "-o", str(tmp_path / "artifact"), *int8_options, "-201"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.match(r"simcse-export: error: average Spearman falls by .*; -201 are allowed", err.splitlines()[-1])
    assert names(tmp_path) == set()


def test_a_pooler_that_is_not_stated_is_asked_for(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(checkpoint), "-o", str(tmp_path / "artifact")]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("simcse-export: error: tiny: its files do not say which pooler it was trained with")
    assert "; pass --pooler, one of cls, " in error
    assert all(pooler in error for pooler in POOLERS)
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["checkpoint"],
        ["checkpoint", "-o", "artifact", "--pooler", "mean"],
        ["checkpoint", "-o", "artifact", "--precision", "fp64"],
        ["checkpoint", "-o", "artifact", "--target", "tpu"],
        ["checkpoint", "-o", "artifact", "--max-tokens", "many"],
        ["checkpoint", "-o", "artifact", "--max-quality-drop", "little"],
        ["checkpoint", "-o", "artifact", "--max-quality-drop", "nan"],
        ["checkpoint", "-o", "artifact", "--max-quality-drop", "inf"],
        ["checkpoint", "-o", "artifact", "--calibration", "sentences.txt"],
        ["checkpoint", "-o", "artifact", "--nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_use(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("usage: simcse-export ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--calibration", "sentences.txt"], "--calibration chooses int8's numbers"),
        (["--max-batch", "0", "--target", "tensorrt"], "--max-batch 0: expected at least 1"),
        (["--compute-capability", "89"], "--compute-capability is for target tensorrt-rtx"),
        (["--target", "tensorrt-rtx"], "compute capabilities (--compute-capability), such as 89"),
        (["--target", "cuda", "--layout", "padded"], "--layout padded is for target cpu, not for cuda"),
        (["--layout", "ragged"], "invalid choice: 'ragged'"),
        (["--target", "cdua"], "invalid choice: 'cdua', did you mean cuda?"),
        (["--no-normalise"], "unknown option: --no-normalise, did you mean --no-normalize?"),
    ],
)
def test_wrong_use_is_told_in_options(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["checkpoint", "-o", "artifact", *arguments])
    assert says in capsys.readouterr().err


def test_failures(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "letters.txt").touch()
    broken = make_checkpoint(tmp_path / "broken")
    (broken / "config.json").write_text("{")
    nan = edit_weights(
        make_checkpoint(tmp_path / "nan"),
        lambda state: {name: tensor * float("nan") for name, tensor in state.items()},
    )
    other = make_checkpoint(tmp_path / "other", model_type="electra")
    new_int8 = [str(checkpoint), "-o", str(tmp_path / "new"), "--precision", "int8"]
    before = names(tmp_path)
    for arguments, says in [
        ([str(tmp_path / "nowhere"), "-o", str(tmp_path / "new")], "no such folder"),
        ([str(broken), "-o", str(tmp_path / "new")], "cannot be read as JSON"),
        ([str(checkpoint), "-o", str(tmp_path / "new"), "--max-tokens", "65"], "takes from 3 to 64 tokens"),
        ([str(checkpoint), "-o", str(tmp_path / "new"), "--revision", "main"], "goes with a hub id"),
        ([str(checkpoint), "-o", str(taken)], "exists already; choose another name"),
        ([str(checkpoint), "-o", str(taken), "--force"], "--force replaces artifacts only"),
        ([str(nan), "-o", str(tmp_path / "new")], "NaN or infinity among the float32 weights"),
        ([str(nan), "-o", str(tmp_path / "new"), "--precision", "int8"], "NaN or infinity among the float32 weights"),
        ([str(other), "-o", str(tmp_path / "new"), "--precision", "int8"], "int8 for cpu is for BERT, DistilBERT, "),
        ([*new_int8, "--calibration", str(tmp_path / "nowhere")], "nowhere: no such file"),
        ([*new_int8, "--calibration", str(taken / "letters.txt")], "letters.txt: 0 distinct lines"),
        ([*new_int8, "--sts", str(taken)], "taken: no STS task in it"),
    ]:
        assert main([*arguments, "--pooler", "avg"]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.splitlines()[-1].startswith("simcse-export: error: ")
        assert says in err.splitlines()[-1]
        assert names(tmp_path) == before
    assert names(taken) == {"letters.txt"}


def test_force(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(checkpoint), "-o", str(tmp_path / "artifact"), "--pooler"]
    assert main([*arguments, "avg"]) == 0
    assert main([*arguments, "cls"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert Manifest.read(tmp_path / "artifact").pooler == "avg"
    assert main([*arguments, "cls", "--force"]) == 0
    assert open_artifact(tmp_path / "artifact").pooler == "cls"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"simcse-export {__version__}\n"


def run(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300, check=False
    )


def test_stdout_that_is_closed() -> None:
    line = f"{sys.executable} -m simcse_export.cli --version >&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (1, "simcse-export: error: stdout is closed\n")


def test_help_does_not_wait_for_torch() -> None:
    done = run(
        "import sys\n"
        "from simcse_export.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print({'torch', 'transformers', 'onnx', 'onnxruntime'} & set(sys.modules))"
    )
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
    assert "--no-normalize" in done.stdout


def test_without_torch_it_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from simcse_export.cli import main; sys.exit(main(sys.argv[1:]))"
    done = run(code, "checkpoint", "-o", str(tmp_path / "artifact"))
    assert done.returncode == 1
    assert done.stderr == (
        "simcse-export: error: torch is missing; exporting needs pip install 'simcse-engine[export,cpu]'\n"
    )


@pytest.fixture(scope="module")
def slow_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that its reference vectors take a while, in which the export can be stopped."""
    return make_checkpoint(
        tmp_path_factory.mktemp("cli") / "slow",
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=12,
        max_position_embeddings=512,
    )


def stop_while_it_runs(checkpoint: Path, artifact: Path, number: signal.Signals) -> tuple[int, str]:
    """Start ``simcse-export --force``, send it a signal in the midst of step 3; its exit code and its stderr."""
    command = [sys.executable, "-m", "simcse_export.cli", str(checkpoint), "-o", str(artifact)]
    command += ["--pooler", "avg", "--max-tokens", "512", "--force"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) as process:
        stderr = process.stderr
        if stderr is None:
            pytest.fail("no stderr")
        printed = ""
        for line in stderr:
            printed += line.decode()
            if line.startswith(b"[3/4]"):
                assert any(path.name.startswith(f".{artifact.name}.partial-") for path in artifact.parent.iterdir())
                process.send_signal(number)
    return process.returncode, printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing(slow_checkpoint: Path, tmp_path: Path, number: signal.Signals) -> None:
    code, printed = stop_while_it_runs(slow_checkpoint, tmp_path / "artifact", number)
    assert code == 128 + number
    assert printed.splitlines()[-1] == "simcse-export: interrupted; nothing was published"
    assert "[4/4]" not in printed
    assert "Traceback" not in printed
    assert names(tmp_path) == set()


def test_a_killed_export_leaves_the_old_artifact(checkpoint: Path, slow_checkpoint: Path, tmp_path: Path) -> None:
    artifact = tmp_path / "artifact"
    arguments = [str(checkpoint), "-o", str(artifact), "--pooler", "cls"]
    assert main(arguments) == 0
    code, printed = stop_while_it_runs(slow_checkpoint, artifact, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert "[4/4]" not in printed
    with Encoder(artifact) as encoder:
        assert encoder.manifest.pooler == "cls"
        assert encoder.encode(["the cat"]).shape == (1, 32)
    leftovers = names(tmp_path) - {"artifact"}
    assert len(leftovers) == 1
    with pytest.raises(ArtifactNotFoundError):
        Encoder(tmp_path / leftovers.pop())
    assert main([*arguments, "--force"]) == 0
    assert names(tmp_path) == {"artifact"}
