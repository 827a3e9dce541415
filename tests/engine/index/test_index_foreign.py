"""An index's folder from elsewhere: what lies in it may be anything, and must neither hang, write outside nor crash."""

import json
import os
import shutil
from pathlib import Path

import pytest

from simcse_engine import Index
from support.child import run_script
from support.indexes import ROWS, SMALL

# In a process of its own, as opening a pipe could wait for ever.
OPEN = """
    import json, sys, warnings
    import numpy as np
    from simcse_engine import Index
    from simcse_engine.errors import SimCSEError
    from simcse_engine.index.limits import SearchLimits
    warnings.simplefilter("ignore")
    vectors = np.eye(3, 32, dtype=np.float32)
    said = {}
    for folder in sys.argv[1:]:
        for read_only in (True, False):
            try:
                with Index(folder, read_only=read_only, limits=SearchLimits(exact_rows=50, extend_rows=20)) as index:
                    assert len(index.search(vectors, k=3, exact=False)[2]) == 3
                    if not read_only:
                        index.add_vectors(vectors, ["a", "b", "c"])
                    said.setdefault(folder, []).append("right")
            except SimCSEError as error:
                said.setdefault(folder, []).append(f"{type(error).__name__}: {error}")
    print(json.dumps(said))
"""


@pytest.mark.parametrize("kind", ["a link", "a pipe", "a folder"])
def test_only_regular_files_are_opened(whole: Path, tmp_path: Path, kind: str) -> None:
    """None is waited for, followed, or written to."""
    graph = next(whole.glob("graph-*")).name
    names = ["vectors-1.f32", graph, "lock", "index.db", "index.db-wal", "index.db-shm", "index.db-journal"]
    for name in names:
        path = Path(shutil.copytree(whole, tmp_path / name)) / name
        target = tmp_path / f"target of {name}"
        if path.exists():
            path.rename(target)
        else:
            target.write_bytes(b"another's")
        if kind == "a link":
            path.symlink_to(target)
        elif kind == "a pipe":
            os.mkfifo(path)
        else:
            path.mkdir()
    before = {path.name: path.read_bytes() for path in tmp_path.glob("target*")}
    said = json.loads(run_script(OPEN, *[tmp_path / name for name in names]))
    for name in names:
        reading, writing = said[str(tmp_path / name)]
        refused = f"IndexDamagedError: {tmp_path / name / name}: is {kind}; an index"
        # Readers take no lock, and the graph can be done without.
        assert (reading == "right") if name in (graph, "lock") else reading.startswith(refused)
        assert (writing == "right") if name == graph else writing.startswith(refused)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("target*")} == before


def test_a_link_to_a_whole_index_is_followed(whole: Path, tmp_path: Path) -> None:
    """The caller names it."""
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    (tmp_path / "link").symlink_to(copy)
    with Index(tmp_path / "link", limits=SMALL) as index:
        index.remove([1])
        assert len(index) == ROWS - 1
