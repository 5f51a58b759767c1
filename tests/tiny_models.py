"""Models with a few thousand random weights, saved as the hub holds them, for the tests that load detectors through transformers."""

import json
from pathlib import Path

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
