"""A path stays a path; only what is written as a hub id is fetched, from the cache where it lies there."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import simcse_engine
from simcse_engine import Encoder
from simcse_engine.artifact.hub import hub_id_of, locate, locate_remembered
from simcse_engine.errors import ArtifactNotFoundError, InputTypeError
from support.child import run_script
from support.disks import fill, small_disk
from support.environments import overlay
from support.hubs import COMMIT, NOWHERE, Hub, fill_cache, hub_of

# Prints what became of Encoder(argv[1]); argv[2] is where it must have been loaded from.
OPEN = """
    import sys
    from simcse_engine import Encoder
    from simcse_engine.errors import SimCSEError
    try:
        encoder = Encoder(sys.argv[1], threads=1)
    except SimCSEError as error:
        print(f"{type(error).__name__}: {error}")
    else:
        assert sys.argv[2] in repr(encoder), repr(encoder)
        print(encoder.encode(["A man plays a guitar."]).tolist())
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with nothing in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("where", "hub_id"),
    [
        ("user/name", ("user/name", None)),
        ("princeton-nlp/sup-simcse-bert-base-uncased", ("princeton-nlp/sup-simcse-bert-base-uncased", None)),
        ("user/name.v1_2-x", ("user/name.v1_2-x", None)),
        ("user/name@main", ("user/name", "main")),
        ("user/name@refs/pr/1", ("user/name", "refs/pr/1")),
        (f"user/name@{COMMIT}", ("user/name", COMMIT)),
    ],
)
def test_hub_ids(elsewhere: Path, where: str, hub_id: tuple[str, str | None]) -> None:
    assert hub_id_of(where) == hub_id
    # The same name is a path where something of that name, or only its folder, lies here.
    (elsewhere / where.split("/")[0]).mkdir()
    assert hub_id_of(where) is None
    assert locate(where) == Path(where)


@pytest.mark.parametrize(
    "where",
    [
        *(
            "name",
            "./user/name",
            "../user/name",
            "/user/name",
            "a/b/c",
            "user/name/",
            "user/",
            "/name",
            ".",
            "",
            "@main",
        ),
        *("user/", "user//name", ".user/name", "user/.name", "user/na me", "user/name@", "user\\name", "user/name\n"),
        *(Path("user/name"), Path("user/name@main")),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_paths(where: str | Path) -> None:
    assert hub_id_of(where) is None
    assert locate(where) == Path(where)


def test_home_is_expanded(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(elsewhere))
    assert locate("~/artifact") == elsewhere / "artifact"
    assert locate(Path("~/artifact")) == elsewhere / "artifact"
    with pytest.raises(ArtifactNotFoundError, match="~nobody-of-this-name/x"):
        locate("~nobody-of-this-name/x")


@pytest.mark.parametrize("where", [None, 5, b"user/name", ["user/name"]])
def test_neither_path_nor_id(where: object) -> None:
    with pytest.raises(InputTypeError, match=f"not by {type(where).__name__}"):
        locate(where)  # type: ignore[arg-type]


def test_a_mistyped_path_is_not_fetched(elsewhere: Path) -> None:
    (elsewhere / "artifacts").mkdir()
    for where in ("artifacts/minilm", "./user/name", Path("user/name")):
        with pytest.raises(ArtifactNotFoundError, match="does not exist"):
            Encoder(where)


def test_from_the_cache_offline(artifact: Path, tmp_path: Path) -> None:
    fill_cache(tmp_path / "home", artifact)
    settings = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": NOWHERE}
    expected = Encoder(artifact).encode(["A man plays a guitar."]).tolist()
    for where in ("user/name", "user/name@main", f"user/name@{COMMIT}"):
        assert json.loads(run_script(OPEN, where, f"snapshots/{COMMIT}", **settings)) == expected
    for where in ("user/other", "user/name@v2"):
        output = run_script(OPEN, where, "", **settings)
        assert output.startswith(
            f"ArtifactNotFoundError: {where.split('@')[0]}: no such folder here; taken as a hub id,"
        )
        # Perhaps a checkpoint: how to export it is told without seeing it.
        repository, _, revision = where.partition("@")
        command = f"simcse-export {repository} -o {repository.partition('/')[2]}-artifact"
        assert f": {command}{' --revision v2' if revision else ''}\n" in output


def test_a_checkpoint_in_the_cache_offline(checkpoint: Path, tmp_path: Path) -> None:
    fill_cache(tmp_path / "home", checkpoint)
    settings = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": NOWHERE}
    output = run_script(OPEN, "user/name", "", **settings)
    assert output == (
        "ArtifactNotFoundError: user/name: is a checkpoint, not an artifact; export it once, and open the result:\n"
        "  simcse-export user/name -o name-artifact --pooler cls\n"
    )


def test_from_the_cache_without_a_connection(artifact: Path, tmp_path: Path) -> None:
    fill_cache(tmp_path / "home", artifact)
    settings = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": NOWHERE}
    assert run_script(OPEN, "user/name", f"snapshots/{COMMIT}", **settings).startswith("[[")
    output = run_script(OPEN, "user/other", "", seconds=30, **settings)
    assert output.startswith(
        "ArtifactNotFoundError: user/other: no such folder here; taken as a hub id, the hub cannot be"
    )


def test_what_a_file_names_is_never_fetched(elsewhere: Path, artifact: Path) -> None:
    assert locate_remembered(str(artifact)) == artifact
    # Whoever wrote the file knew another working folder.
    (elsewhere / "user/name").mkdir(parents=True)
    for where in ("artifact", "./user/name", "~/artifact", "", "file:///etc", "user/name/more", "user/name\n"):
        with pytest.raises(ArtifactNotFoundError, match="neither an absolute path nor a hub id"):
            locate_remembered(where)
    script = """
        import sys
        from simcse_engine.artifact.hub import locate_remembered
        from simcse_engine.errors import ArtifactNotFoundError
        for where in sys.argv[1:]:
            try:
                print(locate_remembered(where))
            except ArtifactNotFoundError as error:
                print(error)
    """
    snapshot = fill_cache(elsewhere / "home", artifact)
    with hub_of(artifact) as hub:
        settings = {"HF_HOME": str(elsewhere / "home"), "HF_ENDPOINT": hub.url}
        names = ["user/name", f"user/name@{COMMIT}", "user/name@v2", "user/other"]
        assert run_script(script, *names, **settings).splitlines() == [
            *(str(snapshot), str(snapshot)),
            *("user/name: v2 is not in the hub's cache here", "user/other: it is not in the hub's cache here"),
        ]
        assert hub.asked == []


def test_a_damaged_cache(artifact: Path, tmp_path: Path) -> None:
    snapshot = fill_cache(tmp_path / "home", artifact)
    blob = (snapshot / "model.onnx.data").resolve()
    blob.write_bytes(blob.read_bytes()[:-1])
    settings = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
    assert run_script(OPEN, "user/name", "", **settings).startswith("IntegrityError: ")


@pytest.fixture
def hub(artifact: Path) -> Iterator[Hub]:
    with hub_of(artifact) as server:
        yield server


# With what it needs, of this environment or of its time.
OLDEST = (
    *("huggingface-hub==0.24.0", "requests==2.32.5", "urllib3==2.6.1", "charset-normalizer==3.4.4"),
    *("certifi==2025.11.12", "idna==3.11"),
)


@pytest.mark.parametrize("release", [None, OLDEST], ids=["installed", "oldest"])
def test_from_a_hub(artifact: Path, tmp_path: Path, hub: Hub, release: tuple[str, ...] | None) -> None:
    settings = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    if release is not None:
        engine = Path(simcse_engine.__file__).parents[1]
        settings["PYTHONPATH"] = f"{overlay(*release)}{os.pathsep}{engine}"
    expected = Encoder(artifact).encode(["A man plays a guitar."]).tolist()
    for _ in range(2):
        assert json.loads(run_script(OPEN, "user/name", f"snapshots/{COMMIT}", **settings)) == expected
    # The second time, the files were in the cache.
    assert sorted(hub.fetched) == sorted(path.name for path in artifact.iterdir())
    output = run_script(OPEN, "user/other", "", **settings)
    assert output.startswith("ArtifactNotFoundError: user/other: no such folder here, and as a hub id: 404")
    output = run_script(OPEN, "user/na--me", "", **settings)
    assert output.startswith("ArtifactNotFoundError: user/na--me: no such folder here, and as a hub id: Cannot have --")


def test_a_cache_without_room(tmp_path: Path, hub: Hub) -> None:
    with small_disk(tmp_path / "disk", 64 << 10) as disk:
        fill(disk / "filler", leave=24 << 10)
        settings = {"HF_HOME": str(disk / "home"), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        environment = {**settings, "PYTHONWARNINGS": "ignore"}
        output = run_script(OPEN, "user/name", "", **environment)
    assert output.startswith(f"DiskFullError: {disk}")
    assert "the disk is full" in output
