"""Questions whose answer may crash a process, such as whether a provider's libraries load: a child process answers."""

import json
import re
import signal
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from ..machine import kernels, nvidia
from ..session import library
from ..session.tensorrt.libraries import TENSORRT, load_tensorrt, tensorrt_major

_TIMEOUT_S = 120


def ask_child(*question: str) -> dict[str, Any]:
    """Let a child process answer "runtime", "kernels", "driver", "provider" NAME or "compiler" NAME.

    Its death is an ``error``.
    """
    # The child finds what this process finds, however its path came about.
    code = f"import sys; sys.path[:] = {sys.path!r}; from simcse_engine.doctor import child; child.answer()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"gave no answer in {_TIMEOUT_S} s"}
    if done.returncode < 0:
        return {"error": f"the process was killed by {signal.Signals(-done.returncode).name}"}
    try:
        # The runtime prints to stdout as well; the answer is the last line.
        reply: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        return {"error": f"the process ended with {done.returncode}: {_last_line(done.stderr)}"}
    logged = re.search(r"\[E:onnxruntime.*?\] (.*?)(\x1b|$)", done.stderr, re.MULTILINE)
    if "error" in reply and logged:
        # Only the runtime's log says what made it fall back.
        reply["error"] += f" ({logged[1]})"
    return reply


def answer() -> None:
    """In the child process: answer the question in ``sys.argv`` with a line of JSON."""
    question, *names = sys.argv[1:]
    reply: dict[str, Any] = {}
    try:
        if question == "runtime":
            ort = library.import_runtime()
            reply = {"version": ort.__version__, "providers": ort.get_available_providers()}
            reply["cuda"] = getattr(ort, "cuda_version", None)
            reply["tensorrt_major"] = tensorrt_major()
        elif question == "kernels":
            library_here = kernels.load_library()
            if isinstance(library_here, str):
                reply = {"error": library_here}
            else:
                reply = {"variants": library_here.variants, "runs": kernels.chosen_variant(library_here)}
        elif question == "driver":
            reply = asdict(nvidia.driver())
        elif question == "compiler":
            from ..session.tensorrt.rtx import rtx_devices
            from ..session.tensorrt.session import builder

            reply["version"] = builder(names[0]).partition(" ")[2]
            if names[0] == "tensorrt-rtx" and not rtx_devices():
                reply["error"] = "it finds no GPU that it runs on"
        else:
            if names[0] == TENSORRT:
                load_tensorrt()
            if error := library.probe_provider(names[0]):
                reply = {"error": error}
    except Exception as error:
        # The system's own words, without the engine's advice: the rules give that.
        reply["error"] = _last_line(str(error.__cause__ or error)) or type(error).__name__
    print(json.dumps(reply))


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
