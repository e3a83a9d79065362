"""Weights of an ONNX graph in fewer bytes: a tensor of few bits, and operators that widen it.

Runtimes compute constant operators once, when they load the file.
"""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

MIN_SIZE = 1024  # values from which on an operator more is worth it
_OUTPUT_AXES = {"MatMul": -1, "Conv": 0, "ConvTranspose": 1, "LSTM": 1}
_EXACT = ("search.", "quantizer.", "analysis.", "filterbank.")


def store_small(graph: GraphProto) -> None:
    """Store in 8 or 16 bits all large tensors of 32-bit floats whose values these hold exactly."""
    nodes = []
    for tensor in _large(graph):
        values = numpy_helper.to_array(tensor)
        for kind in (np.int8, np.float16):
            with np.errstate(over="ignore", invalid="ignore"):
                small = values.astype(kind)
            if np.array_equal(small.astype(np.float32), values):
                nodes.append(_widened(graph, tensor, small, tensor.name))
                break
    _prepend(graph, nodes)


def round_to_int8(graph: GraphProto) -> None:
    """Round the networks' matrices to integers of 8 bits times a 32-bit float an output channel.

    The quantizers and the transforms stay as they are.
    """
    # the first three: an LSTM has its biases in the fourth
    users = {name: node.op_type for node in graph.node for name in node.input[:3]}
    nodes = []
    for tensor in _large(graph):
        name, output = tensor.name, _OUTPUT_AXES.get(users.get(tensor.name, ""))
        if output is None or name.startswith(_EXACT):
            continue
        values = numpy_helper.to_array(tensor)
        if values.ndim < 2:  # a bias
            continue
        others = tuple(axis for axis in range(values.ndim) if axis != output % values.ndim)
        scale = np.abs(values).max(axis=others, keepdims=True) / 127
        scale = np.where(scale == 0, 1, scale).astype(np.float32)
        nodes.append(_widened(graph, tensor, np.round(values / scale).astype(np.int8), f"{name}_"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        nodes.append(helper.make_node("Mul", [f"{name}_", f"{name}_scale"], [name]))
    _prepend(graph, nodes)


def _large(graph: GraphProto) -> list[TensorProto]:
    return [
        tensor
        for tensor in graph.initializer
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= MIN_SIZE
    ]


def _widened(graph: GraphProto, tensor: TensorProto, small: np.ndarray, result: str) -> NodeProto:
    """Put ``small`` in the place of a tensor; return the node that makes ``result`` of it."""
    stored = f"{tensor.name}_stored"
    tensor.CopyFrom(numpy_helper.from_array(small, stored))
    return helper.make_node("Cast", [stored], [result], to=TensorProto.FLOAT)


def _prepend(graph: GraphProto, nodes: list[NodeProto]) -> None:
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *others])
