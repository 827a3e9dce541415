"""Compiles graphs with TensorRT for RTX, ahead of time: for GPUs that need not be here.

The library builds a plan's last kernels where the plan is opened, and caches them there (see
`simcse_engine.session.tensorrt.plans.runtime_cache`). No kernel is measured here, so there is no cache of timings,
and the same graph gives the same plan to the byte.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
from onnx import helper

from simcse_engine.artifact.manifest import GRAPH
from simcse_engine.artifact.parts import Plan
from simcse_engine.errors import CompileError, InputValueError, RuntimeMissingError
from simcse_engine.machine.cpu import usable_cpus
from simcse_engine.session.tensorrt.libraries import INSTALL_RTX, RTX, load_rtx
from simcse_engine.session.tensorrt.plans import profile, runs_rtx
from simcse_engine.wording import Wording, argument

from ..graph.nodes import MICROSOFT, Graph


def check_capabilities(capabilities: Sequence[int]) -> None:
    """Raise unless plans can be compiled here for all these compute capabilities."""
    members = _bindings().ComputeCapability.__members__
    numbers = sorted(int(name.removeprefix("SM")) for name in members if name.startswith("SM"))
    # The compiler also knows 75 and 80, which the provider does not run on.
    known = [each for each in numbers if runs_rtx(each)]
    if unknown := [each for each in capabilities if each not in known]:
        listed = ",".join(map(str, unknown))
        raise InputValueError(
            Wording(f"compute_capability={listed}", f"--compute-capability {listed}"),
            f": TensorRT for RTX compiles for {', '.join(map(str, known))}; for other GPUs, export with ",
            argument("target", "tensorrt"),
            " and compile there",
        )


def compile_plans(folder: Path, capabilities: Sequence[int], *, max_batch: int, max_tokens: int) -> dict[str, Plan]:
    """Compile the graph in ``folder`` for each compute capability, and write the plans beside it.

    The graph is in plain operators, in the grid layout. The result is what the manifest says of each capability's plan.
    """
    compiler = _Compiler(folder / GRAPH, profile(max_batch, max_tokens))
    return {str(capability): compiler.write(capability) for capability in capabilities}


class _Compiler:
    def __init__(self, graph: Path, sizes: Mapping[str, Sequence[int]]) -> None:
        self.trt = _bindings()
        self.version = load_rtx()
        self.graph = graph
        self.sizes = sizes
        self.log = _log(self.trt)
        self.builder = self.trt.Builder(self.log)
        self.builder.max_threads = usable_cpus()
        self.network = self.builder.create_network(1 << int(self.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        self.parser = self.trt.OnnxParser(self.network, self.log)
        # By name: the weights lie beside the graph.
        if not self.parser.parse_from_file(str(graph)):
            errors = [self.parser.get_error(i) for i in range(self.parser.num_errors)]
            reasons = "; ".join(f"{each.node_name()} ({each.node_operator()}): {each.desc()}" for each in errors)
            raise CompileError(f"TensorRT for RTX {self.version} does not take the graph: {reasons or self.log.text()}")

    def write(self, capability: int) -> Plan:
        """Build a plan, and write it with the graph that refers to it."""
        plan = Plan(
            graph=f"engine-{capability}.onnx",
            file=f"engine-{capability}.plan",
            compute_capability=capability,
            builder=f"tensorrt-rtx {self.version}",
            gpu=None,
            profile=self.sizes,
        )
        content = self.build(capability)
        (self.graph.parent / plan.file).write_bytes(content)
        header = content[: self.trt.Runtime(self.log).engine_header_size]
        onnx.save_model(plan_graph(self.graph, plan, header), self.graph.parent / plan.graph)
        return plan

    def build(self, capability: int) -> bytes:
        self.log.errors.clear()
        config = self.builder.create_builder_config()
        config.num_compute_capabilities = 1
        config.set_compute_capability(self.trt.ComputeCapability.__members__[f"SM{capability}"], 0)
        config.add_optimization_profile(self.profile())
        plan = self.builder.build_serialized_network(self.network, config)
        if plan is None:
            raise CompileError(
                f"TensorRT for RTX {self.version} makes no plan for compute capability {capability}: {self.log.text()}"
            )
        return bytes(plan)

    def profile(self) -> Any:
        profile = self.builder.create_optimization_profile()
        sizes = [tuple(self.sizes[name]) for name in ("min", "opt", "max")]
        for i in range(self.network.num_inputs):
            profile.set_shape(self.network.get_input(i).name, *sizes)
        return profile


def plan_graph(graph: Path, plan: Plan, header: bytes) -> onnx.ModelProto:
    """The graph with which onnxruntime opens a plan: one node, with the inputs and outputs of ``graph``.

    Names and values are those that the provider writes by itself (NVIDIA/TensorRT-RTX-EP-ABI,
    ``onnx_ctx_model_helper.cc``). By the ``header``, the plan's first bytes, it tells whether it can load the plan.
    """
    compiled = onnx.load(graph, load_external_data=False).graph
    node = helper.make_node(
        "EPContext",
        [each.name for each in compiled.input],
        [each.name for each in compiled.output],
        name=compiled.name,
        domain=MICROSOFT,
        main_context=0,
        embed_mode=0,
        ep_cache_context=plan.file,
        hardware_architecture=str(plan.compute_capability),
        onnx_model_filename=graph.name,
        partition_name=compiled.name,
        ep_sdk_version=plan.builder.rpartition(" ")[2],
        source=RTX,
    )
    around = Graph()
    around.nodes.append(node)
    model = around.model(compiled.input, compiled.output)
    helper.set_model_props(model, {f"ep_compatibility_info.{RTX}": header.hex()})
    return model


def _bindings() -> ModuleType:
    load_rtx()
    try:
        import tensorrt_rtx_bindings
    except ImportError as error:
        raise RuntimeMissingError(
            f"the compiler of TensorRT for RTX cannot be loaded ({error}); {INSTALL_RTX}"
        ) from error
    module: ModuleType = tensorrt_rtx_bindings
    return module


def _log(trt: ModuleType) -> Any:
    """The compiler's log, which keeps the errors."""

    class Log(trt.ILogger):
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(message)

        def text(self) -> str:
            return "; ".join(self.errors) or "it gave no reason"

    return Log()
