"""The platforms that the library is built for, and the variants of each."""

import platform as machine
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """``variant.cc`` compiled for CPUs with certain instructions.

    Attributes:
        name: what ``SIMCSE_VARIANT`` stands for, and ``SIMCSE_KERNELS`` accepts.
        features: instruction sets, by LLVM's names, beyond the platform's base.
        small: whether to save a sixth of its size for a hundredth of its speed: where sixteen lanes are two registers,
            all code is twice as long.
    """

    name: str
    features: tuple[str, ...]
    small: bool = False


@dataclass(frozen=True)
class Platform:
    """A system and CPU architecture.

    Attributes:
        name: system-architecture.
        zig: zig's target; names the oldest system that the library runs on.
        clang: clang's target.
        portable: the wheel's platform tag where zig built it.
        local: the wheel's platform tag where the system's clang built it, against the system's own libraries.
        library: the library's file name.
        variants: each is one object of the library.
    """

    name: str
    zig: str
    clang: str
    portable: str
    local: str
    library: str
    variants: tuple[Variant, ...]

    @property
    def macos(self) -> bool:
        """Whether the system is macOS: its linker takes other flags."""
        return self.name.startswith("macos")

    @property
    def arm(self) -> bool:
        """Whether the architecture is 64-bit ARM."""
        return self.zig.startswith("aarch64")

    def flags(self, variant: Variant | None, *, zig: bool) -> list[str]:
        """The flags that choose target and instructions; without a variant, the platform's base."""
        target = ["-target", self.zig if zig else self.clang]
        if variant is None:
            return target
        if not self.arm:
            return [*target, *(f"-m{feature}" for feature in variant.features)]
        # zig reads -march=armv8.2-a as a CPU's name.
        features = "".join(f"+{feature}" for feature in variant.features)
        return [*target, f"-mcpu=generic+v8_2a{features}" if zig else f"-march=armv8.2-a{features}"]


_AVX2 = ("avx2", "fma", "f16c")
_AVX512 = (*_AVX2, "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni")
_AVX512BF16 = (*_AVX512, "avx512bf16")

_X86 = (
    Variant("avx2", _AVX2, small=True),
    Variant("avxvnni", (*_AVX2, "avxvnni"), small=True),
    Variant("avx512vnni", _AVX512),
    Variant("avx512bf16", _AVX512BF16),
    Variant("amx", (*_AVX512BF16, "amx-tile", "amx-int8", "amx-bf16")),
)
_ARM = (Variant("dotprod", ("dotprod",)), Variant("i8mm", ("dotprod", "i8mm")))

PLATFORMS = {
    platform.name: platform
    for platform in (
        Platform(
            name="linux-x86_64",
            zig="x86_64-linux-gnu.2.17",
            clang="x86_64-linux-gnu",
            portable="manylinux2014_x86_64.manylinux_2_17_x86_64",
            local="linux_x86_64",
            library="libsimcse_kernels.so",
            variants=_X86,
        ),
        Platform(
            name="linux-aarch64",
            zig="aarch64-linux-gnu.2.17",
            clang="aarch64-linux-gnu",
            portable="manylinux2014_aarch64.manylinux_2_17_aarch64",
            local="linux_aarch64",
            library="libsimcse_kernels.so",
            variants=_ARM,
        ),
        Platform(
            name="macos-arm64",
            zig="aarch64-macos.11.0",
            clang="arm64-apple-macos11.0",
            portable="macosx_11_0_arm64",
            local="macosx_11_0_arm64",
            library="libsimcse_kernels.dylib",
            variants=_ARM,
        ),
    )
}


def native() -> Platform | None:
    """The platform of this process; None where there are no kernels for it."""
    if sys.platform == "darwin":
        return PLATFORMS.get(f"macos-{machine.machine()}")
    # Another C library than glibc, musl say, has no onnxruntime either.
    if sys.platform == "linux" and machine.libc_ver()[0] == "glibc" and sys.maxsize > 2**32:
        return PLATFORMS.get(f"linux-{machine.machine()}")
    return None
