"""Control groups: the folders in which Linux says how much of the machine this process may use."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def group_folders(controller: str, root: Path = ROOT) -> Iterator[tuple[Path, int]]:
    """The folders of the process's groups and of all groups around them, each with its version, 2 or 1.

    Args:
        controller: what they limit: "cpu", "memory" or "pids".
        root: the system's.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, version = root / "sys/fs/cgroup", 2
        elif controller in controllers.split(","):
            base, version = root / "sys/fs/cgroup" / controller, 1
        else:
            continue
        # In a container the path may be the host's, whose end the container sees as its root.
        inside = base / path.lstrip("/")
        yield from ((level, version) for level in (inside, *inside.parents) if level.is_relative_to(base))


def least_allowed(controller: str, names: tuple[str, str], root: Path = ROOT) -> int | None:
    """The smallest whole number that the groups allow; ``names`` are its files' in versions 1 and 2."""
    allowed = []
    for folder, version in group_folders(controller, root):
        try:
            allowed.append(int((folder / names[version - 1]).read_text()))
        except (OSError, ValueError):  # "max", or no such file
            continue
    return min(allowed, default=None)
