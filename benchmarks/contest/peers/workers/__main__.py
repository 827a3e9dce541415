"""Runs one worker: python -m benchmarks.contest.peers.workers MODULE, whose `load` makes an encoder."""

import importlib
import sys

from .protocol import serve

serve(importlib.import_module(sys.argv[1]).load)
