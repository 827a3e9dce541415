"""The original `simcse`, called call by call; its answers for a small checkpoint are in `simcse_goldens.json`.

`python tests/parity/simcse_calls.py` calls it again and rewrites the file.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import Any

import numpy as np
import torch

GOLDENS = Path(__file__).with_name("simcse_goldens.json")
POOLERS = ("cls", "cls_before_pooler")
QUERIES = [
    "A man is playing a guitar.",
    "Rain fell all day.",
    "Kids play football in a park, and nobody minds the rain.",
]
KEYS = ["Someone makes music.", "It was a wet day.", "The stock market fell.", "Children are playing soccer.", ""]
# Lines end as Windows and Unix end them, with spaces before; one is blank, and the last has no end.
FILE = "A man plays a guitar.  \r\n\r\nRain fell.\n  Indented, and kept so.\t\nA man plays a guitar."
THRESHOLD = 0.2


def install(folder: Path) -> Path:
    """Make an environment with the original of the registry beside the torch and transformers of here.

    Args:
        folder: where; an existing one is reused.

    Returns:
        Its interpreter.

    Raises:
        subprocess.CalledProcessError: pip could not; its ``stderr`` says why.
    """
    python, ready = folder / "bin/python", folder / "ready"
    if ready.is_file():
        return python
    venv.create(folder, clear=True)
    # What this environment has, it sees; what it installs, only it has.
    paths = {"base": str(folder), "platbase": str(folder)}
    Path(sysconfig.get_path("purelib", "venv", vars=paths), "here.pth").write_text(sysconfig.get_path("purelib"))
    # The package itself asks for numpy and scipy of 2020.
    for packages in (["scikit-learn"], ["--no-deps", "simcse==0.4"]):
        pip = [sys.executable, "-m", "pip", "--python", python, "--quiet", "install", "--retries", "1", *packages]
        subprocess.run(pip, check=True, capture_output=True, text=True)
    ready.touch()
    return python


def ask(python: Path, checkpoint: Path) -> dict[str, dict[str, Any]]:
    """What the original returns for each call of `original.py`, by each of `POOLERS`.

    Args:
        python: has `simcse` installed.
        checkpoint: the argument of its class.

    Raises:
        RuntimeError: it failed; the text is its stderr.
    """
    request = json.dumps({"queries": QUERIES, "keys": KEYS, "threshold": THRESHOLD, "file": FILE})
    # Without what this process adds to the path: the original's environment has packages of its own.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, Path(__file__).with_name("original.py"), checkpoint, *POOLERS]
    done = subprocess.run(command, input=request, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    answers: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return answers


def small_checkpoint(folder: Path) -> Path:
    """The checkpoint of the goldens: the same to the bit on every machine."""
    from support.checkpoints import edit_weights, make_checkpoint

    # torch may draw other numbers in another version; this generator of NumPy's is frozen.
    random = np.random.RandomState(0)

    def drawn(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {
            name: torch.from_numpy(
                (0.3 * random.standard_normal(state[name].shape) + ("LayerNorm.weight" in name)).astype(np.float32)
            )
            for name in sorted(state)
        }

    return edit_weights(make_checkpoint(folder), drawn)


def main() -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, python = small_checkpoint(Path(folder, "checkpoint")), install(Path(folder, "environment"))
        answers_by_pooler = ask(python, checkpoint)
    lines = [
        f"  {json.dumps(pooler)}: {{\n"
        + ",\n".join(f"    {json.dumps(name)}: {json.dumps(_short(value))}" for name, value in answers.items())
        + "\n  }"
        for pooler, answers in answers_by_pooler.items()
    ]
    GOLDENS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"→ {GOLDENS}")


def _short(value: Any) -> Any:
    """Numbers with the digits that a float32 has."""
    if isinstance(value, list):
        return [_short(each) for each in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
