"""``python -m build_kernels``: compiles the library for this machine into the package, or as the options say."""

import argparse
import sys
from pathlib import Path

from .compilers import find_compiler
from .library import PACKAGE, Build, CompileError, forget
from .platforms import PLATFORMS, native


def main() -> int:
    """Build as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="build_kernels", description="Build the native library.")
    parser.add_argument("--platform", choices=PLATFORMS, help="default: this machine's")
    parser.add_argument("--into", type=Path, default=PACKAGE, metavar="FOLDER", help="default: the engine's package")
    parser.add_argument("--testing", action="store_true", help="with the exports for tests, not stripped")
    parser.add_argument("--timing", action="store_true", help="with counters of each step's time")
    parser.add_argument(
        "--sanitize", action="append", default=[], choices=["address", "undefined"], help="may be given twice"
    )
    options = parser.parse_args()
    platform = PLATFORMS[options.platform] if options.platform else native()
    if platform is None:
        # Not an error: the engine runs everywhere, through ONNX Runtime's own operators.
        print("there are no native kernels for this platform; ONNX Runtime's own operators run instead")
        return 0
    compiler = find_compiler(platform)
    if compiler is None:
        print(f"no compiler for {platform.name}; pip install ziglang, or clang 18 or newer", file=sys.stderr)
        return 1
    build = Build(
        platform, compiler, testing=options.testing, timing=options.timing, sanitizers=tuple(options.sanitize)
    )
    try:
        made = build.into(options.into)
    except CompileError as error:
        print(error, file=sys.stderr)
        return 1
    forget()
    variants = ", ".join(variant.name for variant in platform.variants)
    size = f"{made.stat().st_size / 1000:,.0f} KB"
    print(f"{made}: {size} for {platform.name}, variants {variants}, by {compiler.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
