"""Builds the native library from the C++ sources in the folder above; needs nothing beside Python and a compiler.

- ``platforms.py``: the platforms, their variants, and the flags of each.
- ``compilers.py``: finds a compiler: ``CXX``, the package ziglang, or the system's clang.
- ``library.py``: sources → objects, kept by their content → one shared library.
- ``__main__.py``: ``python -m build_kernels``.
"""
