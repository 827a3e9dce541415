"""Ours. It chooses batches and sessions itself; of the setting, the threads alone are used."""

from simcse_engine import Encoder

from .protocol import Encode, Load


def load(load: Load) -> Encode:
    return Encoder(load.model, threads=load.setting.workers * load.setting.threads).encode
