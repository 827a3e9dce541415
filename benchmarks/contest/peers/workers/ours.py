"""Ours. It chooses batches and sessions itself; of the setting, the threads alone are used."""

from simcse_engine import Encoder

from .protocol import Encode, Load, serve


def load(load: Load) -> Encode:
    return Encoder(load.model, threads=load.setting.workers * load.setting.threads).encode


if __name__ == "__main__":
    serve(load)
