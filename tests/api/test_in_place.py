"""Footage in place through the API: played from where it lies, and nothing else of that machine."""

import pytest
import seeded
from intake import MP4

from video_platform.layout import RAW_VIDEO
from video_platform.records import FileEntry

FOOTAGE = MP4 + bytes(range(256)) * 100


@pytest.fixture
def taken(tmp_path, served):
    path = tmp_path / "archive" / "a.mp4"
    path.parent.mkdir()
    path.write_bytes(FOOTAGE)
    record = served.platform.ingest.ingest_path(path, camera="gate", in_place=True).record
    entry = FileEntry(
        role="video",
        key=record.object_key,
        size_bytes=record.size_bytes,
        sha256=record.sha256,
        media_type=record.media_type,
        reference=record.reference_path,
    )
    seeded.store_manifest(served.platform, record.video_id, RAW_VIDEO, [entry])
    return path, record


@pytest.fixture
def client(served):
    served.client.base_url = f"{served.url}/api/"
    return served.client


def original(client, video_id):
    [entry] = [each for each in client.get(f"videos/{video_id}/files").json() if each["asset"] == RAW_VIDEO]
    return entry["url"].removeprefix("/api/")


def test_it_says_where_it_lies(client, taken):
    path, record = taken
    detail = client.get(f"videos/{record.video_id}").json()
    assert detail["in_place"] == {"path": str(path), "state": "there", "message": None}
    assert detail["video"]["reference_path"] == str(path)
    [listed] = client.get("videos").json()["items"]
    assert listed["reference_path"] == str(path)


def test_it_is_played_from_there_with_ranges(client, taken):
    _, record = taken
    url = original(client, record.video_id)
    assert client.get(url).content == FOOTAGE
    part = client.get(url, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, FOOTAGE[100:200])
    assert client.get(url, headers={"range": "bytes=-10"}).content == FOOTAGE[-10:]
    assert client.head(url).headers["content-length"] == str(len(FOOTAGE))


@pytest.mark.parametrize("what", ["gone", "link", "longer", "touched"])
def test_away_it_is_a_conflict_that_says_what_to_do(client, taken, tmp_path, what):
    path, record = taken
    url = original(client, record.video_id)
    if what in ("gone", "link"):
        path.rename(tmp_path / "elsewhere.mp4")
    if what == "link":
        path.symlink_to("/etc/passwd")
    if what == "longer":
        path.write_bytes(FOOTAGE + b"secret")
    if what == "touched":
        path.write_bytes(b"x" * len(FOOTAGE))
    for reply in (client.get(url), client.get(url, headers={"range": "bytes=0-9"})):
        assert reply.status_code == 409
        assert reply.json()["code"] == ("moved" if what in ("gone", "link") else "changed")
        assert "vp ingest" in reply.json()["detail"]
    assert client.head(url).status_code == 409
    detail = client.get(f"videos/{record.video_id}").json()
    assert detail["in_place"]["state"] == ("moved" if what in ("gone", "link") else "changed")
    assert "vp ingest" in detail["in_place"]["message"]


def test_deleting_leaves_the_file(client, taken):
    path, record = taken
    assert client.delete(f"videos/{record.video_id}").status_code == 200
    assert path.read_bytes() == FOOTAGE
