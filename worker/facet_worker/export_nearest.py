"""Print the ONNX graph with which `facet import` finds nearest decoder rows, as the base64 that lib/formats/decoder-neighbours.ts holds.

`a` float32 [N, D], `b` float32 [M, D], `k` int64 [1] → `values`, `indices` [N, k]: the k largest dot products of each row of `a` with rows
of `b`, the largest first, of equal ones the lower index first.
"""

from __future__ import annotations

import base64

import onnx
from onnx import TensorProto, helper

OPSET = 18


def graph() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gemm", ["a", "b"], ["dot"], transB=1),
        helper.make_node("TopK", ["dot", "k"], ["values", "indices"], axis=1, largest=1, sorted=1),
    ]
    inputs = [
        helper.make_tensor_value_info("a", TensorProto.FLOAT, ["N", "D"]),
        helper.make_tensor_value_info("b", TensorProto.FLOAT, ["M", "D"]),
        helper.make_tensor_value_info("k", TensorProto.INT64, [1]),
    ]
    outputs = [
        helper.make_tensor_value_info("values", TensorProto.FLOAT, ["N", "K"]),
        helper.make_tensor_value_info("indices", TensorProto.INT64, ["N", "K"]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "nearest", inputs, outputs), opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9
    )
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    print(base64.b64encode(graph().SerializeToString()).decode())
