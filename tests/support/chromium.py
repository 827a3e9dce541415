"""The Chromium of this machine, or Debian's unpacked beside it; and a channel to it in its DevTools protocol."""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.debian import unpacked

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 60

# Chromium reads commands from descriptor 3 and writes to descriptor 4; those that are passed have other numbers.
_EXEC = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_FONTS = (
    "<fontconfig><dir>/usr/share/fonts</dir><dir>{root}/usr/share/fonts</dir><cachedir>{cache}</cachedir></fontconfig>"
)


class Chromium:
    """A headless Chromium without a profile, and commands to it. Skips the test where there is none to be had.

    Its pages may run without its sandbox, which needs rights that a container lacks: open none but our own.
    """

    def __init__(self, folder: Path) -> None:
        """Start it; ``folder`` takes its profile."""
        program, environment = _program(folder)
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}",
            "--remote-debugging-pipe",
        ]
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        wrapper = [sys.executable, "-I", "-c", _EXEC, str(commands), str(answers)]
        self._log = folder / "chromium.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*wrapper, program, *options],
                pass_fds=(commands, answers),
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(commands)
        os.close(answers)
        self._received = b""
        self._last = 0
        self._listeners: dict[str, Callable[[str, dict[str, Any]], None]] = {}

    def send(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command, to a session where it is for a page; its result. Events that arrive meanwhile are heard."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        os.write(
            self._commands, json.dumps({**message, **({"sessionId": session} if session else {})}).encode() + b"\0"
        )
        while True:
            answer = self._receive()
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])

    def listen(self, session: str, listener: Callable[[str, dict[str, Any]], None]) -> None:
        """Call ``listener`` with the name and the parameters of each event of the session."""
        self._listeners[session] = listener

    def close(self) -> None:
        os.close(self._commands)  # which ends it
        os.close(self._answers)
        try:
            self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _receive(self) -> dict[str, Any]:
        """The next message, once its listener has heard it."""
        end = time.monotonic() + SECONDS
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._answers], [], [], max(0, end - time.monotonic()))
            read = os.read(self._answers, 1 << 20) if ready else b""
            if not read:
                pytest.fail(f"Chromium {'has ended' if ready else 'does not answer'}; it said:\n{self._said()}")
            self._received += read
        message, _, self._received = self._received.partition(b"\0")
        answer = json.loads(message)
        if "method" in answer and (listener := self._listeners.get(answer.get("sessionId"))):
            listener(answer["method"], answer["params"])
        return dict(answer)

    def _said(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


def _program(folder: Path) -> tuple[str, dict[str, str]]:
    """The program's path and the variables that it needs."""
    for name in NAMES:
        if found := shutil.which(name):
            return found, {}
    root = unpacked("chromium")
    program = root / "usr/lib/chromium/chromium" if root else None
    if root is None or program is None or not program.is_file():
        pytest.skip(f"no {', '.join(NAMES)} on the path, and apt has no Debian package chromium")
    libraries = {str(library.parent) for library in root.rglob("*.so*")}
    fonts = folder / "fonts.conf"
    fonts.write_text(_FONTS.format(root=root, cache=folder / "fonts"))
    return str(program), {"LD_LIBRARY_PATH": os.pathsep.join(sorted(libraries)), "FONTCONFIG_FILE": str(fonts)}
