"""Builds the wheel of each platform into a folder and runs the one for this machine. `make wheels` runs it."""

import sys
import tempfile
from pathlib import Path

import numpy as np

from build_kernels.platforms import PLATFORMS, native
from simcse_engine import Encoder
from simcse_export import ExportOptions, export
from support.checkpoints import make_checkpoint
from support.wheels import Environment, build_wheel, native_library

TEXTS = ["A man plays a guitar.", "", "一个男人在弹吉他。"]


def main(folder: Path) -> None:
    for name in PLATFORMS:
        for old in folder.glob("*.whl"):
            if _is_for(old, name):
                old.unlink()
        wheel = build_wheel(folder, name)
        library = native_library(wheel)
        assert library is not None
        sizes = f"{wheel.stat().st_size / 1e6:.2f} MB, library {library[1] / 1000:,.0f} KB"
        here = native()
        seen = run(wheel) if here is not None and here.name == name else "compiled, not run here"
        print(f"{wheel}\n  {sizes}; {seen}", flush=True)


def run(wheel: Path) -> str:
    """Install the wheel into a fresh environment and compare its vectors with this one's."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        export(make_checkpoint(work / "checkpoint"), work / "artifact", ExportOptions(pooler="cls", max_tokens=32))
        (work / "texts.txt").write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
        environment = Environment(work / "venv")
        environment.install(f"{wheel.resolve()}[cpu]")
        environment.run("simcse-engine", "encode", work / "artifact", work / "texts.txt", "-o", work / "vectors.npy")
        with Encoder(work / "artifact") as encoder:
            np.testing.assert_allclose(np.load(work / "vectors.npy"), encoder.encode(TEXTS), atol=1e-6)
        variants = environment.variants()
    return f"installed and run here, variants {', '.join(variants) or 'none'}"


def _is_for(wheel: Path, platform: str) -> bool:
    return wheel.stem.endswith(PLATFORMS[platform].portable)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
