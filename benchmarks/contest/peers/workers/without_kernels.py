"""Ours in the runtime's operators, as where our kernels cannot run."""

from simcse_engine.session.kernels import without_kernels

from . import ours
from .protocol import Encode, Load


def load(load: Load) -> Encode:
    with without_kernels():
        return ours.load(load)
