"""The device of a call fits the target of the artifact."""

from dataclasses import replace
from pathlib import Path

import pytest

from simcse_engine import Manifest
from simcse_engine.errors import InputTypeError, InputValueError, ProviderError
from simcse_engine.inputs import OptimizeFor, Truncate, checked_choice, checked_device


@pytest.mark.parametrize(
    ("target", "device", "checked"),
    [
        ("cpu", None, "cpu"),
        ("cpu", "cpu", "cpu"),
        ("cuda", None, "cuda"),
        ("cuda", "cuda:3", "cuda:3"),
        ("tensorrt", None, "cuda"),
        ("tensorrt", "cpu", "cpu"),
        ("tensorrt-rtx", "cuda:1", "cuda:1"),
    ],
)
def test_a_device_that_runs_the_target(artifact: Path, target: str, device: str | None, checked: str) -> None:
    assert checked_device(device, replace(Manifest.read(artifact), target=target)) == checked


@pytest.mark.parametrize(("target", "device", "extra"), [("cpu", "cuda:1", "gpu"), ("cuda", "cpu", "cpu")])
def test_a_device_that_does_not(artifact: Path, target: str, device: str, extra: str) -> None:
    manifest = replace(Manifest.read(artifact), target=target)
    with pytest.raises(ProviderError, match=rf"asked for {device}, and .* is for {target}; .*\[{extra}\]"):
        checked_device(device, manifest)


def test_a_device_is_named(artifact: Path) -> None:
    manifest = Manifest.read(artifact)
    with pytest.raises(InputTypeError, match="device=0: expected 'cpu', 'cuda' or 'cuda:N'"):
        checked_device(0, manifest)  # type: ignore[arg-type]
    with pytest.raises(ProviderError, match="device 'tpu' is unknown"):
        checked_device("tpu", manifest)


def test_a_choice_is_one_of_its_values() -> None:
    assert checked_choice("truncate", "silent", Truncate) == "silent"
    with pytest.raises(InputValueError, match="truncate='never': choose 'warn', 'error' or 'silent'"):
        checked_choice("truncate", "never", Truncate)
    with pytest.raises(InputValueError, match=r"optimize_for=\[\]: choose 'both', 'latency' or 'throughput'"):
        checked_choice("optimize_for", [], OptimizeFor)
