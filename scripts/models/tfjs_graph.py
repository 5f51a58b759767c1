"""A TensorFlow.js graph model as a torch module: as many operations as NanoDet-g uses, no more."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

DTYPES = {"float32": np.float32, "int32": np.int32, "float16": np.float16}

Node = dict[str, Any]
Inputs = list[torch.Tensor]


class GraphModel(torch.nn.Module):
    """The graph in `<name>.json` with its weights in `<name>.bin`; outputs come in the order of their names.

    Tensors keep the layout of the file: NCHW at the input, NHWC inside.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        model = json.loads(path.read_text())
        self.constants = _weights(model["weightsManifest"][0]["weights"], path.with_suffix(".bin").read_bytes())
        self.nodes = [node for node in model["modelTopology"]["node"] if node["op"] != "Const"]
        self.output_names = [each["name"].split(":")[0] for each in sorted(model["signature"]["outputs"].values(), key=lambda each: each["name"])]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """All outputs for one input; nodes run in the order of the file, later ones once what they need is there."""
        known: dict[str, torch.Tensor] = dict(self.constants)
        waiting = self.nodes
        while waiting:
            later = []
            for node in waiting:
                names = [name if name in known else name.split(":")[0] for name in node.get("input", [])]
                if node["op"] == "Placeholder":
                    known[node["name"]] = x
                elif all(name in known for name in names):
                    known.update(_run(node, [known[name] for name in names]))
                else:
                    later.append(node)
            if len(later) == len(waiting):
                raise ValueError(f"node {later[0]['name']} waits for something that no node makes")
            waiting = later
        return tuple(known[name] for name in self.output_names)


def _weights(entries: list[dict[str, Any]], raw: bytes) -> dict[str, torch.Tensor]:
    found, offset = {}, 0
    for entry in entries:
        stored = DTYPES[entry["quantization"]["dtype"] if "quantization" in entry else entry["dtype"]]
        count = int(np.prod(entry["shape"])) if entry["shape"] else 1
        values = np.frombuffer(raw, stored, count, offset).astype(DTYPES[entry["dtype"]]).reshape(entry["shape"])
        found[entry["name"]] = torch.from_numpy(values.copy())
        offset += count * np.dtype(stored).itemsize
    if offset != len(raw):
        raise ValueError(f"the weights describe {offset} bytes; the file has {len(raw)}")
    return found


def _run(node: Node, inputs: Inputs) -> dict[str, torch.Tensor]:
    if node["op"] not in OPERATIONS:
        raise ValueError(f"operation {node['op']} of node {node['name']} is not known here")
    result = OPERATIONS[node["op"]](node.get("attr", {}), inputs)
    if isinstance(result, tuple):
        return {node["name"]: result[0], **{f"{node['name']}:{i}": part for i, part in enumerate(result)}}
    return {node["name"]: result}


def _whole(tensor: torch.Tensor) -> list[int]:
    return [int(value) for value in tensor.flatten().tolist()]


def _pad(_: Node, inputs: Inputs) -> torch.Tensor:
    sides = [int(value) for pair in reversed(inputs[1].tolist()) for value in pair]
    return functional.pad(inputs[0], sides, value=float(inputs[2]) if len(inputs) > 2 else 0.0)


def _convolution(attributes: Node, inputs: Inputs) -> torch.Tensor:
    stride = int(attributes["strides"]["list"]["i"][1])
    padding = attributes["padding"]["s"]
    padding = padding if padding in ("SAME", "VALID") else base64.b64decode(padding).decode()
    weight = inputs[1].permute(3, 2, 0, 1).contiguous()
    picture = inputs[0].permute(0, 3, 1, 2)
    if padding == "SAME":
        side, height = weight.shape[2], picture.shape[2]
        total = max((-(-height // stride) - 1) * stride + side - height, 0)
        picture = functional.pad(picture, [total // 2, total - total // 2] * 2)
    return functional.conv2d(picture, weight, stride=stride).permute(0, 2, 3, 1)


def _max_pool(attributes: Node, inputs: Inputs) -> torch.Tensor:
    size, stride = (int(attributes[name]["list"]["i"][1]) for name in ("ksize", "strides"))
    return functional.max_pool2d(inputs[0].permute(0, 3, 1, 2), size, stride).permute(0, 2, 3, 1)


def _resize(attributes: Node, inputs: Inputs) -> torch.Tensor:
    corners = bool(attributes.get("align_corners", {}).get("b", False))
    picture = inputs[0].permute(0, 3, 1, 2)
    return functional.interpolate(picture, _whole(inputs[1]), mode="bilinear", align_corners=corners).permute(0, 2, 3, 1)


def _dense(_: Node, inputs: Inputs) -> torch.Tensor:
    indices, shape, values, fill = inputs
    dense = torch.full(_whole(shape), fill.item() if fill.numel() == 1 else 0, dtype=values.dtype)
    if indices.numel():
        dense[tuple(indices.long().reshape(len(indices), -1).T)] = values
    return dense


OPERATIONS: dict[str, Callable[[Node, Inputs], torch.Tensor | tuple[torch.Tensor, ...]]] = {
    "Identity": lambda _, inputs: inputs[0],
    "Add": lambda _, inputs: inputs[0] + inputs[1],
    "AddV2": lambda _, inputs: inputs[0] + inputs[1],
    "Transpose": lambda _, inputs: inputs[0].permute(*_whole(inputs[1])),
    "LeakyRelu": lambda attributes, inputs: functional.leaky_relu(inputs[0], float(attributes.get("alpha", {}).get("f", 0.2))),
    "Sigmoid": lambda _, inputs: torch.sigmoid(inputs[0]),
    "Pad": _pad,
    "PadV2": _pad,
    "Conv2D": _convolution,
    "MaxPool": _max_pool,
    "ResizeBilinear": _resize,
    "ConcatV2": lambda _, inputs: torch.cat(inputs[:-1], int(inputs[-1])),
    "SplitV": lambda _, inputs: torch.split(inputs[0], _whole(inputs[1]), int(inputs[2])),
    "SparseToDense": _dense,
    "Reshape": lambda _, inputs: inputs[0].reshape(_whole(inputs[1])),
}
