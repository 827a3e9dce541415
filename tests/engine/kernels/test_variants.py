"""Which variants of the kernels a CPU runs, and choosing one."""

from build_kernels.platforms import PLATFORMS
from support.kernels import Kernels


def test_a_variant_is_chosen_by_name(kernels: Kernels) -> None:
    first = kernels.text("simcse_kernels_selected")
    listed = kernels.text("simcse_kernels_variants")
    variants = listed.split(",") if listed else []
    known = [{variant.name for variant in platform.variants} for platform in PLATFORMS.values()]
    assert any(set(variants) <= names for names in known)
    assert first == (variants[0] if variants else "")
    try:
        for name in reversed(variants):
            assert kernels.call("simcse_kernels_select", name.encode()) == 0
            assert kernels.text("simcse_kernels_selected") == name
        for other in ("", "sse2", listed + ","):
            assert kernels.call("simcse_kernels_select", other.encode()) == -1
        assert kernels.text("simcse_kernels_selected") == first, "a refused name changes nothing"
    finally:
        kernels.call("simcse_kernels_select", first.encode())
