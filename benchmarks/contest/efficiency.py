"""Each contestant's share of what the machine can multiply: the runtime's own matrix products, in the same rounds."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..peak import Gemm, Peak
from ..statistics import Spread, spreads

_SECONDS = 0.4

# Bfloat16 has no product of its own in the runtime, and a library's default may be that, so both are held against
# float32; their share may exceed 1.
_HELD_AGAINST = {"fp32": "fp32", "bf16": "fp32", "default": "fp32", "int8": "int8"}


class Peaks:
    """Products in float32 and in int8, measured once per round."""

    def __init__(self, threads: int) -> None:
        self._peaks = {precision: Peak(Gemm(precision=precision), threads) for precision in ("fp32", "int8")}
        self._rates: dict[str, list[float]] = {precision: [] for precision in self._peaks}

    def measure(self) -> None:
        """Add a round."""
        for precision, peak in self._peaks.items():
            self._rates[precision].append(peak.measure(_SECONDS))

    def shares(
        self, arithmetic: Mapping[str, str], operations_per_s: Mapping[str, Sequence[float]]
    ) -> dict[str, dict[str, Any]]:
        """For each contestant, its operations a second over the peak's, round by round."""
        shares = {}
        for name, rates in operations_per_s.items():
            against = _HELD_AGAINST[arithmetic[name]]
            rounds = [rate / peak for rate, peak in zip(rates, self._rates[against], strict=True)]
            shares[name] = {"of_peak": against, "share": Spread.of(rounds)}
        return shares

    def facts(self) -> dict[str, Spread]:
        """The peaks themselves, operations a second."""
        return spreads(self._rates)

    def close(self) -> None:
        for peak in self._peaks.values():
            peak.close()
