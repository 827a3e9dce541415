"""The report for people."""

from simcse_engine import __version__
from simcse_engine.doctor.facts import Facts
from simcse_engine.doctor.report import Report
from simcse_engine.machine.nvidia import Gpu


def test_the_text_shows_every_fact() -> None:
    shown = Facts(
        packages={"numpy": "2.0", "pyarrow": None},
        builds={"onnxruntime": "1.22.0"},
        runtime="1.22.0",
        other_providers=("AzureExecutionProvider",),
        architecture="x86_64",
        features=("avx2", "avx512", "avx512_vnni"),
        affinity=4,
        platform="Plan 9",
        python="3.99",
        prefix="/env",
        cpu="A fine CPU",
        quota=3.5,
        omp_threads=3,
        threads=3,
        providers={"CPUExecutionProvider": None, "CUDAExecutionProvider": "no driver"},
        runtime_cuda="13.0",
        cuda="13.0",
        gpus=(Gpu(name="NVIDIA H100", compute_capability=90),),
        compilers={"tensorrt": "10.13.3.9", "tensorrt-rtx": None},
        nvidia={"tensorrt-cu13": "10.13.3"},
    )
    text = Report(facts=shown, findings=()).render()
    for words in (
        *("Plan 9", "3.99", "/env", "A fine CPU", "x86_64", "avx2, avx512, avx512_vnni", "3.5 CPUs", "4 CPUs"),
        "OMP_NUM_THREADS 3",
        *(
            "numpy 2.0",
            "pyarrow not installed",
            "onnxruntime 1.22.0",
            "CPUExecutionProvider: loads",
            "CUDAExecutionProvider: no driver",
        ),
        *("AzureExecutionProvider", __version__, "cuda:0 NVIDIA H100 (compute capability 90)", "CUDA up to 13.0"),
        *("tensorrt-cu13 10.13.3", "tensorrt      10.13.3.9", "tensorrt-rtx  does not load"),
    ):
        assert words in text
