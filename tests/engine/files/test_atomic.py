import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from simcse_engine.errors import OutputError
from simcse_engine.files import atomic
from simcse_engine.files.atomic import check_absent, whole_file, whole_folder
from support.disks import small_disk
from support.users import let_others_in

NAMES = ["out", "a b", "out[1]", "*", "?", "[!x]", "ü 漢", ".hidden", "-f", "a.partial-b", "a\nb"]


def write_folder(target: Path, text: str, *, replace: bool = False) -> None:
    with whole_folder(target, replace=replace) as staging:
        (staging / "content").write_text(text)


def write_file(target: Path, text: str) -> None:
    with whole_file(target) as staging:
        staging.write_text(text)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Start Python on ``code`` with what it needs imported; ``arguments`` are in ``sys.argv[1:]``."""
    head = f"import os, sys; sys.path[:] = {sys.path!r}\n" + (
        "from pathlib import Path\n"
        "from simcse_engine.files.atomic import whole_file, whole_folder\n"
        "from simcse_engine.errors import OutputError\n"
    )
    command = [sys.executable, "-c", head + code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(code: str, *arguments: object) -> str:
    with start(code, *arguments) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    return out.strip()


# What the block in a child process does: write a half, say so, and wait until it is killed or told to go on.
HALF = """
with {writer} as staging:
    {path}.write_text("half")
    print("half", flush=True)
    sys.stdin.readline()
"""
HALF_FOLDER = HALF.format(writer="whole_folder(Path(sys.argv[1]), replace=True)", path='(staging / "content")')
HALF_FILE = HALF.format(writer="whole_file(Path(sys.argv[1]))", path="staging")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_appears_whole_and_alone(tmp_path: Path, name: str) -> None:
    target = tmp_path / "new" / "parents" / name
    with whole_folder(target) as staging:
        (staging / "content").write_text("new")
        assert not target.exists()
        # A rename within one file system is atomic; from another one it is a copy.
        assert staging.parent == target.parent
    assert (target / "content").read_text() == "new"
    assert names(target.parent) == [name]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_appears_whole_and_alone(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    with whole_file(target) as staging:
        staging.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    write_file(target, "newer")
    assert target.read_text() == "newer"
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("error", [ValueError("stop"), KeyboardInterrupt(), OSError(errno.EACCES, "the caller's own")])
def test_an_error_in_the_block_passes_and_leaves_the_old(tmp_path: Path, error: BaseException) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file"
    write_folder(folder, "old")
    write_file(file, "old")

    def fail_amid(writer: AbstractContextManager[Path], content: str) -> None:
        with writer as staging:
            (staging / content).write_text("half")
            raise error

    for writer, content in ((whole_folder(folder, replace=True), "content"), (whole_file(file), "")):
        with pytest.raises(type(error)) as caught:
            fail_amid(writer, content)
        assert caught.value is error
    assert (folder / "content").read_text() == file.read_text() == "old"
    assert names(tmp_path) == ["file", "folder"]


def test_an_error_in_the_block_leaves_nothing_where_nothing_was(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), whole_folder(tmp_path / "folder"):
        raise ValueError("stop")
    with pytest.raises(ValueError, match="stop"), whole_file(tmp_path / "file"):
        raise ValueError("stop")
    assert names(tmp_path) == []


def test_a_folder_with_something_in_it_is_refused_at_once(tmp_path: Path) -> None:
    target = tmp_path / "out"
    write_folder(target, "old")
    entered = False
    with pytest.raises(OutputError, match=r"exists already; choose another name$"), whole_folder(target):
        entered = True
    assert not entered
    assert (target / "content").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_a_folder_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with pytest.raises(OutputError, match="exists already"), whole_folder(target):
        write_folder(target, "another's")
    assert (target / "content").read_text() == "another's"
    assert names(tmp_path) == ["out"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    write_folder(target, "new")
    assert (target / "content").read_text() == "new"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("platform", [sys.platform, "another system, without an atomic exchange"])
@pytest.mark.parametrize("name", NAMES)
def test_replace_swaps_the_whole_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, platform: str
) -> None:
    monkeypatch.setattr(atomic.sys, "platform", platform)
    target = tmp_path / name
    write_folder(target, "old")
    (target / "other").write_text("old")
    with whole_folder(target, replace=True) as staging:
        (staging / "content").write_text("new")
        assert (target / "content").read_text() == "old"
    assert names(target) == ["content"]
    assert (target / "content").read_text() == "new"
    assert names(tmp_path) == [name]


def test_the_current_folder_can_be_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "here"
    target.mkdir()
    monkeypatch.chdir(target)
    write_folder(Path(), "new")
    assert (target / "content").read_text() == "new"
    assert names(tmp_path) == ["here"]


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    write_folder(tmp_path / "folder", "old")
    write_file(tmp_path / "file", "old")
    (tmp_path / "to folder").symlink_to("folder")
    (tmp_path / "to file").symlink_to("file")
    write_folder(tmp_path / "to folder", "new", replace=True)
    write_file(tmp_path / "to file", "new")
    assert (tmp_path / "folder/content").read_text() == (tmp_path / "file").read_text() == "new"
    assert names(tmp_path) == ["file", "folder", "to file", "to folder"]
    assert (tmp_path / "to folder").is_symlink()
    assert (tmp_path / "to file").is_symlink()


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_or_dangling_link_is_no_folder_to_write(tmp_path: Path, replace: bool) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        with pytest.raises(OutputError, match="exists and is not a folder"):
            write_folder(tmp_path / name, "new", replace=replace)
        with pytest.raises(OutputError, match="exists and is not a folder"):
            check_absent(tmp_path / name, replace=replace)
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file", "link"]


def test_a_folder_or_device_is_no_file_to_write(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"):
        write_file(tmp_path, "new")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(OutputError, match="device or a pipe"):
            write_file(tmp_path / name, "new")
    assert (tmp_path / "pipe").is_fifo()
    assert names(tmp_path) == ["link", "pipe"]


def test_a_place_that_cannot_be_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for target in (tmp_path / "file/below", tmp_path / ("long" * 63)):
        with pytest.raises(OutputError, match="cannot be written"):
            write_folder(target, "new")
        with pytest.raises(OutputError, match="cannot be written"):
            write_file(target, "new")
    with pytest.raises(OutputError, match=r"cannot be written.*No such file"):
        write_file(tmp_path / "nowhere/file", "new")
    assert names(tmp_path) == ["file"]


def test_a_parent_without_permission_is_an_output_error(tmp_path: Path) -> None:
    let_others_in(tmp_path)
    write_folder(tmp_path / "old", "old")
    tmp_path.chmod(0o555)
    # Root may write everywhere, so a child becomes nobody.
    code = """
if os.geteuid() == 0:
    os.setuid(65534)
def attempt(write):
    try:
        with write as staging:
            print("entered")
    except OutputError as error:
        print(error)
attempt(whole_folder(Path(sys.argv[1]) / "new"))
attempt(whole_folder(Path(sys.argv[1]) / "new/below"))
attempt(whole_folder(Path(sys.argv[1]) / "old", replace=True))
attempt(whole_file(Path(sys.argv[1]) / "file"))
"""
    try:
        lines = run(code, tmp_path).splitlines()
    finally:
        tmp_path.chmod(0o755)
    assert len(lines) == 4
    assert all("cannot be written (Permission denied); nothing there was changed" in line for line in lines)
    assert names(tmp_path) == ["old"]


@pytest.mark.parametrize(("mask", "folder", "file"), [(0o022, 0o755, 0o644), (0o027, 0o750, 0o640), (0, 0o777, 0o666)])
def test_permissions_are_what_the_umask_gives(tmp_path: Path, mask: int, folder: int, file: int) -> None:
    before = os.umask(mask)
    try:
        write_folder(tmp_path / "folder", "new")
        write_file(tmp_path / "file", "new")
    finally:
        after = os.umask(before)
    assert after == mask
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == folder
    assert stat.S_IMODE((tmp_path / "folder/content").stat().st_mode) == file
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == file


def test_the_umask_is_never_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process has one umask for all its threads, so nobody may set it, not even for a moment."""

    def refuse(mask: int) -> int:
        raise AssertionError(f"files of other threads would be made with umask {mask:o}")

    monkeypatch.setattr(os, "umask", refuse)
    write_folder(tmp_path / "folder", "new")
    write_file(tmp_path / "file", "new")


def test_private_files_of_a_writer_get_the_folder_s_permissions(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "folder") as staging:
        handle, _ = tempfile.mkstemp(dir=staging)
        os.close(handle)
    (path,) = (tmp_path / "folder").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "folder").stat().st_mode) & 0o666 != 0o600


@pytest.mark.parametrize("name", ["out", "out[1]", "*", "a\nb"])
@pytest.mark.parametrize("code", [HALF_FOLDER, HALF_FILE], ids=["folder", "file"])
def test_a_killed_writer_leaves_the_old_and_the_next_one_tidies_up(tmp_path: Path, name: str, code: str) -> None:
    target = tmp_path / name
    bystander = tmp_path / f".{name}x.partial-12345678"
    bystander.write_text("another target's")
    is_file = code == HALF_FILE
    content = target if is_file else target / "content"
    write_file(target, "old") if is_file else write_folder(target, "old")
    with start(code, target) as process:
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    assert content.read_text() == "old"
    assert len(names(tmp_path)) == 3
    write_file(target, "new") if is_file else write_folder(target, "new", replace=True)
    assert content.read_text() == "new"
    assert names(tmp_path) == sorted([name, bystander.name])


@pytest.mark.parametrize("code", [HALF_FOLDER, HALF_FILE], ids=["folder", "file"])
def test_a_living_writer_s_work_is_left_alone(tmp_path: Path, code: str) -> None:
    target = tmp_path / "out"
    is_file = code == HALF_FILE
    content = target if is_file else target / "content"
    with start(code, target) as process:
        assert process.stdout.readline() == "half\n"
        write_file(target, "first") if is_file else write_folder(target, "first")
        assert content.read_text() == "first"
        _, err = process.communicate("go on\n")
    assert process.returncode == 0, err
    assert content.read_text() == "half"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_many_writers_of_one_target_do_not_disturb_each_other(tmp_path: Path, kind: str) -> None:
    code = """
for number in range(150):
    if sys.argv[2] == "file":
        with whole_file(Path(sys.argv[1])) as staging:
            staging.write_text("new")
    else:
        with whole_folder(Path(sys.argv[1]), replace=True) as staging:
            (staging / "content").write_text("new")
"""
    target = tmp_path / "out"
    write_file(target, "old") if kind == "file" else write_folder(target, "old")
    writers = [start(code, target, kind) for _ in range(3)]
    errors = [writer.communicate()[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0], errors
    assert (target if kind == "file" else target / "content").read_text() == "new"
    assert names(tmp_path) == ["out"]


# In a child process: a folder and a file of 1 MB each, where there is no room for them.
TOO_MUCH = """
for write in (whole_folder(Path(sys.argv[1]) / "folder", replace=True), whole_file(Path(sys.argv[1]) / "file")):
    try:
        with write as staging:
            (staging / "content" if staging.is_dir() else staging).write_bytes(bytes(1_000_000))
    except OutputError as error:
        print(error)
"""


def check_full(folder: Path, code: str, message: str) -> None:
    write_folder(folder / "folder", "old")
    write_file(folder / "file", "old")
    lines = run(code, folder).splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == [f"{message}; nothing there was changed"] * 2
    assert (folder / "folder/content").read_text() == (folder / "file").read_text() == "old"
    assert names(folder) == ["file", "folder"]


def test_a_file_size_limit_leaves_the_old(tmp_path: Path) -> None:
    limit = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""
    check_full(tmp_path, limit + TOO_MUCH, "would grow beyond this process's 1,000 bytes for a file (ulimit -f)")


def test_a_full_disk_leaves_the_old(tmp_path: Path) -> None:
    with small_disk(tmp_path, 64 << 10):
        check_full(tmp_path, TOO_MUCH, "the disk is full")


def test_a_disk_that_can_only_be_read_is_an_output_error(tmp_path: Path) -> None:
    with small_disk(tmp_path, 64 << 10):
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        with pytest.raises(OutputError, match="Read-only file system"):
            write_folder(tmp_path / "folder", "new")
        with pytest.raises(OutputError, match="Read-only file system"):
            write_file(tmp_path / "file", "new")
