import numpy as np
import pytest
from sentence_models import real_model, tiny_model

from video_platform.analysis.sentence_vectors import MAX_TOKENS, Encoder
from video_platform.errors import IntegrityError

SENTENCES = ["One person crosses in front of the gate.", "", "A red car", "a RED car", "left " * 1000, "日本 \u202e\x00 x", "One dog and one child."]


def by_transformers(folder, sentences):
    """The same vectors by the library that the model was made with: its BERT, mean of the token states, unit length."""
    import torch
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel

    model = BertModel.from_pretrained(folder, config=BertConfig.from_pretrained(folder)).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(min(MAX_TOKENS, model.config.max_position_embeddings))
    tokenizer.enable_padding()
    tokens = tokenizer.encode_batch(list(sentences))
    ids, mask = (torch.tensor([getattr(each, name) for each in tokens]) for name in ("ids", "attention_mask"))
    with torch.inference_mode():
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state * mask[..., None]
        return torch.nn.functional.normalize(states.sum(1) / mask.sum(1, keepdim=True)).numpy()


def test_vectors_have_unit_length_and_do_not_depend_on_their_neighbours(tmp_path):
    encoder = Encoder(tiny_model(tmp_path / "model"))
    together = encoder.encode(SENTENCES)
    assert together.shape == (len(SENTENCES), encoder.size)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together, np.concatenate([encoder.encode([each]) for each in SENTENCES]), atol=1e-5)
    np.testing.assert_allclose(together[2], together[3], atol=1e-6)
    assert encoder.encode([]).shape == (0, encoder.size)


@pytest.mark.parametrize(
    ("name", "text"),
    [("config.json", "{}"), ("config.json", "no JSON"), ("model.safetensors", "garbage"), ("tokenizer.json", "{}"), ("config.json", None)],
)
def test_files_that_are_no_such_model_are_one_error(tmp_path, name, text):
    path = tiny_model(tmp_path / "model") / name
    path.write_text(path.read_text().replace('"hidden_size": 32', '"hidden_size": 7') if text is None else text)
    with pytest.raises(IntegrityError, match=r"the sentence model in .*model cannot be used .*bring its files again") as caught:
        Encoder(path.parent)
    assert len(caught.value.message) < 600


@pytest.mark.models
@pytest.mark.parametrize("which", ["tiny", "real"])
def test_vectors_are_those_of_transformers(which, tmp_path):
    folder = tiny_model(tmp_path / "model") if which == "tiny" else real_model()
    np.testing.assert_allclose(Encoder(folder).encode(SENTENCES), by_transformers(folder, SENTENCES), atol=2e-5)


@pytest.mark.models
def test_what_means_the_same_is_nearer_than_what_does_not():
    one, two, other = Encoder(real_model()).encode(["a person walks a dog", "a man strolls with his puppy", "the invoice is due on Friday"])
    assert one @ two > 0.5
    assert abs(one @ other) < 0.2
