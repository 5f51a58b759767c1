"""A sentence model with tiny random weights, in the files that the real one has, and the real one where it is installed."""

import json
from pathlib import Path

import numpy as np
import pytest

from video_platform import sentence_model
from video_platform.settings import Settings

WORDS = "a and at bag bicycle blue car carries child cross crosses dog drops enters gate green in is left moves near one person persons red right"
SIZE, INNER, LAYERS, HEADS, PLACES = 32, 64, 2, 4, 64


def tiny_model(folder: Path, seed: int = 0) -> Path:
    """Write one: 2 layers, 32 values; words that it does not know are all alike to it."""
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    folder.mkdir(parents=True)
    vocabulary = {word: at for at, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS.split()])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    shape = {"hidden_size": SIZE, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS, "intermediate_size": INNER, "layer_norm_eps": 1e-12}
    shape |= {"max_position_embeddings": PLACES, "vocab_size": len(vocabulary), "model_type": "bert", "type_vocab_size": 2}
    (folder / "config.json").write_text(json.dumps(shape))
    save_file(_weights(len(vocabulary), np.random.default_rng(seed)), folder / "model.safetensors")
    return folder


def _weights(words: int, random: np.random.Generator) -> dict[str, np.ndarray]:
    def values(*shape: int) -> np.ndarray:
        return random.normal(0, 0.2, shape).astype(np.float32)

    named = {f"embeddings.{name}_embeddings.weight": values(rows, SIZE) for name, rows in (("word", words), ("position", PLACES), ("token_type", 2))}
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{number}" for number in range(LAYERS)):
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            named |= {f"{layer}.{part}.weight": values(SIZE, SIZE), f"{layer}.{part}.bias": values(SIZE)}
        named |= {f"{layer}.intermediate.dense.weight": values(INNER, SIZE), f"{layer}.intermediate.dense.bias": values(INNER)}
        named |= {f"{layer}.output.dense.weight": values(SIZE, INNER), f"{layer}.output.dense.bias": values(SIZE)}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for norm in norms:
        named |= {f"{norm}.weight": np.ones(SIZE, np.float32), f"{norm}.bias": np.zeros(SIZE, np.float32)}
    return named


def real_model() -> Path:
    """The folder of all-MiniLM-L6-v2; skips where it is not installed."""
    found = sentence_model.find(Settings())
    if found.model is None:
        pytest.skip(f"no sentence model: {found.reason}")
    return found.model.folder
