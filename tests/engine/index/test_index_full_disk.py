"""A full disk: nothing is lost, and removing entries, compacting and adding lead out of it."""

import contextlib
import itertools
import random
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import pytest

from simcse_engine import Index, IndexWarning
from simcse_engine.errors import DiskFullError, SearchIndexError
from simcse_engine.index.limits import SearchLimits
from support.disks import fill, small_disk
from support.indexes import SMALL, names, unit_vectors

pytestmark = pytest.mark.filterwarnings("ignore::simcse_engine.errors.IndexWarning")
TEXT = "x" * 200


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 6 << 20) as disk:
        yield disk


def fill_index(disk: Path, artifact: Path, limits: SearchLimits = SMALL, *, keywords: bool = False) -> int:
    """Add to an index, and then to the rest of its disk, until there is no room; how many entries were acknowledged."""
    Index.create(disk / "index", artifact, keywords=keywords).close()
    with Index(disk / "index", limits=limits, read_only=False) as index, contextlib.suppress(DiskFullError):
        for count in itertools.count(0, 100):
            part = range(count, count + 100)
            metadata = [{"kept": True} if i % 10 == 0 else None for i in part]
            index.add_vectors(unit_vectors(100, count), [f"{i} {TEXT}" for i in part], keys=part, metadata=metadata)
    fill(disk / "filler")
    return count


def check(folder: Path, left: set[int]) -> None:
    with Index(folder, limits=SMALL, read_only=True) as index:
        entries = index.get(range(max(left, default=0) + 200))
        assert {entry.key for entry in entries if entry is not None} == left
        assert all(entry.text == f"{entry.key} {TEXT}" for entry in entries if entry is not None)
        assert len(index.search(unit_vectors(1), k=5, exact=True)[0]) == min(5, len(left))


@pytest.mark.parametrize("again", [False, True])
def test_the_way_out(disk: Path, artifact: Path, again: bool) -> None:
    count = fill_index(disk, artifact)
    folder = disk / "index"
    with Index(folder, limits=SMALL, read_only=True) as reader:
        # What the last addition has committed before the disk was full is there too.
        written = len(reader)
        assert count <= written < count + 200
        kept = {key for key in range(written) if key % 10 == 0}
        removed = [key for key in range(written) if key not in kept]
        with Index(folder, limits=SMALL, read_only=False) as index:
            assert index.remove([*removed[:100], 10**9]) == 100
            assert len(reader) == written - 100
            if not again:
                assert index.remove(where={"kept": None}) == len(removed) - 100
                index.compact()
        if again:
            fill(disk / "filler")
            with Index(folder, limits=SMALL, read_only=False) as index:
                assert index.remove(removed) == len(removed) - 100
                index.compact()
                assert index.info().dead == 0
        check(folder, kept)
        with Index(folder, limits=SMALL, read_only=False) as index:
            more = range(written, written + 100)
            index.add_vectors(unit_vectors(100), [f"{i} {TEXT}" for i in more], keys=more)
            assert len(reader) == len(kept) + 100
    check(folder, kept | set(more))


def test_words_are_in_step_all_the_way(disk: Path, artifact: Path) -> None:
    def check_words(index: Index, left: set[int]) -> None:
        (hits,) = index.search(unit_vectors(1), 10_000, mode="keywords", keywords=[TEXT])
        assert {hit.key for hit in hits} == left
        (hits,) = index.search(unit_vectors(1), 1, mode="keywords", keywords=[str(max(left))])
        assert hits[0].key == max(left)

    fill_index(disk, artifact, keywords=True)
    folder = disk / "index"
    with Index(folder, limits=SMALL, read_only=False) as index:
        left = set(range(len(index)))
        check_words(index, left)
        with pytest.raises(DiskFullError):
            index.add_vectors(unit_vectors(2000), ["zebra"] * 2000)
        assert index.search(unit_vectors(1), mode="keywords", keywords=["zebra"]) == [[]]
        check_words(index, left)
        assert index.remove(range(0, len(left), 2)) == (len(left) + 1) // 2
        left -= set(range(0, len(left), 2))
        check_words(index, left)
        index.compact()
        check_words(index, left)
        more = range(10_000, 10_100)
        index.add_vectors(unit_vectors(100), [f"{i} {TEXT}" for i in more], keys=more)
    with Index(folder, limits=SMALL, read_only=True) as index:
        check_words(index, left | set(more))


@pytest.mark.parametrize("kilobytes", [0, 900, 1700])
def test_words_without_room_leave_the_index_as_it_was(disk: Path, artifact: Path, kilobytes: int) -> None:
    # Long words, each in two texts: with the last size, the reserve has room, and the log of writing them has none.
    texts = [" ".join(md5(b"%d" % word).hexdigest() for word in range(row, row + 40)) for row in range(0, 20_000, 20)]
    with Index.create(disk / "index", artifact) as index:
        index.add_vectors(unit_vectors(1000), texts)
    with Index(disk / "index", limits=SMALL, read_only=False) as index:
        fill(disk / "filler", leave=kilobytes << 10)
        free = shutil.disk_usage(disk).free
        with pytest.raises(DiskFullError):
            index.build_keywords()
        assert not index.about.keywords
        # The log of what was undone gives its room back.
        assert shutil.disk_usage(disk).free >= free - (32 << 10)
        with pytest.raises(SearchIndexError, match="no index of its words"):
            index.search(unit_vectors(1), mode="keywords", keywords=["w"])
        # Removals lead out of it, as before.
        assert index.remove(range(0, 1000, 2)) == 500
        (disk / "filler").unlink()
        index.build_keywords()
        (hits,) = index.search(unit_vectors(1), 1000, mode="keywords", keywords=[md5(b"1000").hexdigest()])
        assert {hit.key for hit in hits} == {49}


@pytest.mark.parametrize(("keywords", "megabytes"), [(False, 48), (True, 20)])
def test_removals_leave_room_for_more(tmp_path: Path, artifact: Path, keywords: bool, megabytes: int) -> None:
    """The log of one must not fill the disk, which the database then could not take in, and so nothing ever again."""
    chance = random.Random(0)
    with small_disk(tmp_path / "large", megabytes << 20) as disk:
        Index.create(disk / "index", artifact, keywords=keywords).close()
        with Index.open(disk / "index", read_only=False) as index, contextlib.suppress(DiskFullError):
            for first in itertools.count(0, 100):
                # Most words are in few texts, so that the index of words is as large as the texts.
                texts = [" ".join(f"w{int(chance.random() ** 3 * 200_000)}" for _ in range(60)) for _ in range(100)]
                index.add_vectors(unit_vectors(100, first), texts, keys=range(first, first + 100))
        fill(disk / "filler")
        with Index.open(disk / "index", read_only=False) as index:
            written = len(index)
            assert index.remove(range(1, written, 2)) == written // 2
            assert index.remove(range(written)) == (written + 1) // 2
            assert len(index) == 0


def test_a_compaction_without_room_says_how_much_it_needs(disk: Path, artifact: Path) -> None:
    # Without a graph, which could be done without for the time.
    fill_index(disk, artifact, SearchLimits())
    with Index.open(disk / "index", read_only=False) as index:
        written = len(index)
        with pytest.raises(DiskFullError, match=r"takes about \d\.\d MB, and \d\.\d MB are free"):
            index.compact()
        assert len(index) == written
        vectors = {path.name for path in (disk / "index").glob("vectors-*")}
        assert vectors == {"vectors-1.f32"}
    check(disk / "index", set(range(written)))


def test_an_addition_without_room_leaves_none_of_it(disk: Path, artifact: Path) -> None:
    """Its vectors come before its commit; what the disk has taken of them is given back."""
    Index.create(disk / "index", artifact).close()
    with Index.open(disk / "index", read_only=False) as index:
        size = index.info().size_bytes
        fill(disk / "filler", leave=1 << 20)
        with pytest.raises(DiskFullError):
            index.add_vectors(unit_vectors(4000), [TEXT] * 4000)
        assert len(index) == 0
        assert index.info().size_bytes <= size + (64 << 10)


def test_a_graph_without_room_is_told(disk: Path, artifact: Path) -> None:
    Index.create(disk / "index", artifact, dtype="f16").close()
    index = Index(disk / "index", limits=replace(SMALL, window_texts=4096), read_only=False)
    fill(disk / "filler", leave=512 << 10)
    with pytest.warns(IndexWarning, match=r"\.usearch: the disk is full.*the saved graph lacks"):
        # What is committed is acknowledged: whoever was refused would add it again.
        keys = [index.add_vectors(unit_vectors(100, first), names(100, first)) for first in range(0, 600, 100)]
    assert [key for added in keys for key in added] == list(range(600))
    assert len(index) == 600
    fill(disk / "filler")
    with pytest.warns(IndexWarning, match=r"\.usearch: the disk is full.*the saved graph lacks"):
        index.close()


KILLED = """
    import sys, warnings
    warnings.simplefilter("ignore")
    from simcse_engine import Index
    from simcse_engine.index.limits import SearchLimits
    limits = SearchLimits(exact_rows=50, extend_rows=20, save_share=0.25, window_texts=16)
    keys = [int(key) for key in sys.argv[2:]]
    with Index(sys.argv[1], limits=limits, read_only=False) as index:
        for first in range(0, len(keys), 20):
            index.remove(keys[first : first + 20])
            print(first, flush=True)
        index.compact()
        print("compacted", flush=True)
"""


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_to_kill(disk: Path, artifact: Path, seed: int) -> None:
    chance = random.Random(seed)
    fill_index(disk, artifact)
    with Index(disk / "index", limits=SMALL, read_only=True) as index:
        left = set(range(len(index)))
    for _ in range(3):
        keys = sorted(left)[: len(left) // 2]
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(disk / "index"), *map(str, keys)]
        removed: set[int] = set()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            lines = chance.randrange(len(keys) // 20 + 2)
            for line in process.stdout or ():
                if line != "compacted\n":
                    removed |= set(keys[int(line) : int(line) + 20])
                lines -= 1
                if lines <= 0:
                    process.send_signal(signal.SIGKILL)
                    break
        with Index(disk / "index", limits=SMALL, read_only=True) as index:
            found = {entry.key for entry in index.get(range(10_000)) if entry is not None}
        # It may have been killed after more than it could say.
        assert left - set(keys) <= found <= left - removed
        left = found
        check(disk / "index", left)
    with Index(disk / "index", limits=SMALL, read_only=False) as index:
        index.remove(sorted(left)[30:])
        index.compact()
    check(disk / "index", set(sorted(left)[:30]))
