"""Whether a folder may become an artifact."""

from fnmatch import fnmatch
from pathlib import Path

from ..errors import OutputError
from ..files.atomic import check_absent
from ..wording import argument
from .manifest import ARTIFACT_FILES, ENGINE_FILES, GRAPH, PADDED_FILES
from .written import MANIFEST

_FORCE = argument("force", True)


def check_output(target: Path, *, force: bool) -> None:
    """Raise OutputError where an artifact must not be written, before hours of work.

    A folder that is not empty is replaced by ``force``, if it is an artifact: nothing may delete the checkpoint or a
    home folder.
    """
    check_absent(target, replace=force, advice=("choose another name, or replace it with ", _FORCE))
    try:
        names = {path.name for path in target.iterdir()} if target.is_dir() else set()
    except OSError as error:
        raise OutputError(f"{target}: cannot be read ({error.strerror})") from error
    # Without a manifest, they may be a checkpoint's.
    known = ARTIFACT_FILES | PADDED_FILES if MANIFEST in names else ARTIFACT_FILES
    others = {name for name in names - known if not fnmatch(name, ENGINE_FILES)}
    if names and (others or GRAPH not in names):
        reason = f"{min(others)} lies in it" if others else f"no {GRAPH} in it"
        raise OutputError(f"{target}: is a folder of other things ({reason}); ", _FORCE, " replaces artifacts only")
