"""Sentences as vectors whose cosine says how alike they are in meaning: the encoder of all-MiniLM-L6-v2 in numpy.

Six layers of BERT (Devlin et al. 2019, as distilled by Wang et al. 2020, MiniLM), mean of the token states, unit length (Reimers & Gurevych 2019). It reads
the model's own weights and vocabulary. In numpy because importing torch and transformers takes 5 CPU seconds and 460 MB in every run that has five
sentences to encode, and every `vp search`; this takes 0.3 s and 200 MB. A test holds it against transformers.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_platform.errors import IntegrityError
from video_platform.sentence_model import SHAPE, VOCABULARY, WEIGHTS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_TOKENS = 256
"""The length that the model was made for; what is longer is cut."""

BATCH = 32
"""Sentences encoded at once, of about equal length: some megabytes."""

TRIAL = "a person"
"""Encoded once when a model is loaded."""

MAX_WHY = 200
"""Characters of what a reader of the files says."""

FAR = -1e9
"""Added to the attention for tokens that only fill a batch up."""


class Encoder:
    """A sentence model in memory (90 MB); safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        """Read the model in `folder`, and try it.

        Raises:
            IntegrityError: these files are no such model, or not whole.
        """
        try:
            self._read(folder)
            self.encode([TRIAL])
        except MemoryError:
            raise
        except Exception as error:  # its readers raise bare ones, and weights of another shape fail anywhere
            why = " ".join(f"{type(error).__name__}: {error}".split())[:MAX_WHY]
            raise IntegrityError(f"the sentence model in {folder} cannot be used ({why}); bring its files again", path=str(folder)) from error

    def _read(self, folder: Path) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        shape = json.loads((folder / SHAPE).read_text())
        self.size: int = shape["hidden_size"]
        self._heads: int = shape["num_attention_heads"]
        self._layers: int = shape["num_hidden_layers"]
        self._epsilon: float = shape["layer_norm_eps"]
        self._weights: dict[str, Any] = load_file(folder / WEIGHTS)
        self._tokenizer = Tokenizer.from_file(str(folder / VOCABULARY))
        self._tokenizer.enable_truncation(min(MAX_TOKENS, shape["max_position_embeddings"]))
        self._tokenizer.no_padding()

    def encode(self, sentences: Sequence[str]) -> "NDArray[np.float32]":
        """Unit vectors, float32 of shape (sentences, size), in the given order."""
        import numpy as np

        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(sentences))]
        found = np.zeros((len(tokens), self.size), np.float32)
        order = sorted(range(len(tokens)), key=lambda at: len(tokens[at]))
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            found[part] = self._forward([tokens[at] for at in part])
        return found

    def _forward(self, tokens: "Sequence[Sequence[int]]") -> "NDArray[np.float32]":
        import numpy as np

        longest = max(len(each) for each in tokens)
        ids = np.zeros((len(tokens), longest), np.int64)
        real = np.zeros((len(tokens), longest), np.float32)
        for row, each in enumerate(tokens):
            ids[row, : len(each)], real[row, : len(each)] = each, 1.0
        weights = self._weights
        words = weights["embeddings.word_embeddings.weight"][ids]
        places = weights["embeddings.position_embeddings.weight"][:longest]
        states = self._normal(words + places + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        mask = (1.0 - real)[:, None, None, :] * np.float32(FAR)
        for layer in range(self._layers):
            states = self._layer(states, mask, f"encoder.layer.{layer}")
        mean = (states * real[..., None]).sum(axis=1) / real.sum(axis=1, keepdims=True)
        return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), np.float32(1e-12))

    def _layer(self, states: Any, mask: Any, name: str) -> Any:
        """One layer: attention of all tokens to each other, then each by itself; states of shape (sentences, tokens, size)."""
        import numpy as np
        from scipy.special import erf

        rows, length, size = states.shape
        query, key, value = (
            self._linear(states, f"{name}.attention.self.{part}").reshape(rows, length, self._heads, size // self._heads).transpose(0, 2, 1, 3)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) * np.float32((size // self._heads) ** -0.5) + mask
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        seen = (shares @ value).transpose(0, 2, 1, 3).reshape(rows, length, size)
        states = self._normal(states + self._linear(seen, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        inner = self._linear(states, f"{name}.intermediate.dense")
        inner = inner * (np.float32(0.5) * (1 + erf(inner * np.float32(0.5**0.5))))
        return self._normal(states + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _linear(self, states: Any, name: str) -> Any:
        """All tokens of all sentences in one product: many small ones keep the threads of BLAS waiting for each other."""
        weight = self._weights[f"{name}.weight"]
        found = states.reshape(-1, weight.shape[1]) @ weight.T
        return found.reshape(*states.shape[:-1], weight.shape[0]) + self._weights[f"{name}.bias"]

    def _normal(self, states: Any, name: str) -> Any:
        import numpy as np

        centred = states - states.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(self._epsilon))
        return centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
