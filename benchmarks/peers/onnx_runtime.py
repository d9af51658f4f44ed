"""ONNX Runtime: a network that is only used."""

from __future__ import annotations

from typing import Any

import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.tasks import Job, Task, layers, some, timed

OPSET, FORMAT = 17, 8  # what every release of the last years reads


def model(task: Task) -> bytes:
    """The task's network, up to its scores."""
    nodes, arrays, value, pairs = [], [], "x0", layers(task.parameters())
    for place, (W, b) in enumerate(pairs, start=1):
        arrays += [numpy_helper.from_array(W, f"W{place}"), numpy_helper.from_array(b, f"b{place}")]
        nodes.append(helper.make_node("Gemm", [value, f"W{place}", f"b{place}"], [f"z{place}"]))
        nodes.append(helper.make_node("Relu", [f"z{place}"], [f"x{place}"]))
        value = f"x{place}"
    scores = f"z{len(pairs)}"
    graph = helper.make_graph(
        nodes[:-1],
        "network",
        [helper.make_tensor_value_info("x0", TensorProto.FLOAT, [None, task.widths[0]])],
        [helper.make_tensor_value_info(scores, TensorProto.FLOAT, [None, task.widths[-1]])],
        arrays,
    )
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=FORMAT).SerializeToString()


def predict(task: Task) -> Job:
    """One call for all rows."""
    given: dict[str, Any] = {"x0": task.features()}
    session = onnxruntime.InferenceSession(model(task), providers=["CPUExecutionProvider"])
    return Job(
        timed(lambda: session.run(None, given)), 1, lambda: some(session.run(None, given)[0])
    )


WORKS = {"predict": predict}
