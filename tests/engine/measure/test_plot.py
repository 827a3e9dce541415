import sys
from pathlib import Path

import pytest

from simcse_engine.errors import InputValueError
from simcse_engine.measure.plot import check_plot, draw
from simcse_engine.measure.quality import Quality, TaskQuality


def quality(spearman: float, alignment: float | None) -> Quality:
    task = TaskQuality(spearman=spearman, pairs=2, alignment=alignment, uniformity=-2.5)
    return Quality(tasks={"sts_$1": task, "b": task}, average=spearman, alignment=alignment, uniformity=-2, sentences=3)


@pytest.mark.parametrize(("suffix", "begin"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".PDF", b"%PDF")])
def test_a_plot_in_each_format(tmp_path: Path, suffix: str, begin: bytes) -> None:
    pytest.importorskip("matplotlib")
    target = tmp_path / f"plot{suffix}"
    target.write_text("an older one")
    draw({"artifacts/fp32": quality(81.5, 0.25), "in$t8": quality(81.4, None)}, target)
    assert target.read_bytes().startswith(begin)


def test_what_cannot_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(InputValueError, match=r"the name must end with \.svg, \.png or \.pdf"):
        check_plot(tmp_path / "plot.gif")
    with pytest.raises(InputValueError, match="no task has a pair with a score above 4"):
        draw({"one": quality(80, None)}, tmp_path / "plot.svg")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputValueError, match=r"needs matplotlib; pip install 'simcse-engine\[plot\]'"):
        check_plot(tmp_path / "plot.svg")
