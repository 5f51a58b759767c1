"""The media route: ranges, validators, names, signatures."""

import re
import stat
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seeded import evaluate, store_file

from video_platform import layout
from video_platform.api.media import MediaSigner, RangeNotSatisfiable, Span, disposition, open_signer, parse_range
from video_platform.api.signing import SignatureRefused

MEDIA = b"proxy" * 1000
SIZE = len(MEDIA)


@pytest.fixture
def address(served, video):
    """The signed address of the browser-playable copy."""
    entry = served.catalog.manifest(video.video_id, layout.PROCESSED_VIDEO).file("video")
    return open_signer(served.platform.settings).url(entry.key)


@pytest.mark.parametrize(
    ("header", "status", "content_range", "body"),
    [
        (None, 200, None, MEDIA),
        ("bytes=0-", 206, f"bytes 0-{SIZE - 1}/{SIZE}", MEDIA),
        ("bytes=0-0", 206, f"bytes 0-0/{SIZE}", MEDIA[:1]),
        ("bytes=10-19", 206, f"bytes 10-19/{SIZE}", MEDIA[10:20]),
        (f"bytes={SIZE - 1}-", 206, f"bytes {SIZE - 1}-{SIZE - 1}/{SIZE}", MEDIA[-1:]),
        (f"bytes=0-{SIZE * 9}", 206, f"bytes 0-{SIZE - 1}/{SIZE}", MEDIA),
        ("bytes=-7", 206, f"bytes {SIZE - 7}-{SIZE - 1}/{SIZE}", MEDIA[-7:]),
        (f"bytes=-{SIZE * 9}", 206, f"bytes 0-{SIZE - 1}/{SIZE}", MEDIA),
        ("Bytes = 1 - 2", 206, f"bytes 1-2/{SIZE}", MEDIA[1:3]),
        (f"bytes={SIZE}-", 416, f"bytes */{SIZE}", None),
        ("bytes=-0", 416, f"bytes */{SIZE}", None),
        ("bytes=9-3", 200, None, MEDIA),
        ("bytes=a-b", 200, None, MEDIA),
        ("bytes=-", 200, None, MEDIA),
        ("lines=1-2", 200, None, MEDIA),
        ("bytes=0-1,4-5", 200, None, MEDIA),
        ("bytes=99999999999999999999999999-", 200, None, MEDIA),
    ],
)
def test_range(served, address, header, status, content_range, body):
    answer = served.client.get(address, headers={} if header is None else {"range": header})
    assert answer.status_code == status
    assert answer.headers.get("content-range") == content_range
    assert answer.headers["accept-ranges"] == "bytes"
    if body is not None:
        assert answer.content == body
        assert answer.headers["content-length"] == str(len(body))


def test_head_has_the_headers_of_the_whole_file_and_no_body(served, address):
    answer = served.client.head(address, headers={"range": "bytes=0-1"})
    assert answer.status_code == 200
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.content == b""


def test_headers_keep_media_private_and_inert(served, address):
    headers = served.client.get(address).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"].startswith("private, ")
    assert headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["content-disposition"].startswith("inline; ")


def test_unchanged_media_is_not_sent_again(served, address):
    etag = served.client.get(address).headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]{64}"', etag)
    for sent in (etag, f'"other", W/{etag}', "*"):
        answer = served.client.get(address, headers={"if-none-match": sent})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert served.client.get(address, headers={"if-none-match": '"other"'}).status_code == 200


def test_a_range_of_another_version_gives_the_whole_file(served, address):
    etag = served.client.get(address).headers["etag"]
    part = {"range": "bytes=0-3"}
    assert served.client.get(address, headers=part | {"if-range": etag}).status_code == 206
    assert served.client.get(address, headers=part | {"if-range": '"other"'}).status_code == 200
    assert served.client.get(address, headers=part | {"if-range": "Mon, 23 Nov 2026 12:00:00 GMT"}).status_code == 200


def test_only_what_was_signed_is_served(served, video, address):
    path, query = address.split("?")
    fields = {name: values[0] for name, values in parse_qs(query).items()}
    poster = served.catalog.manifest(video.video_id, layout.PROCESSED_VIDEO).file("poster")
    foreign = layout.api_media(video.video_id, layout.PROCESSED_VIDEO, poster.name)
    turned = fields["signature"][:-1] + ("A" if fields["signature"][-1] != "A" else "B")
    refused = {
        "no signature": path,
        "altered": f"{path}?expires={fields['expires']}&signature={turned}",
        "later end": f"{path}?expires={int(fields['expires']) + 1}&signature={fields['signature']}",
        "another file": f"{foreign}?{query}",
        "no number": f"{path}?expires=never&signature={fields['signature']}",
        "no video": f"/api/videos/nobody/media/processed_video/x.mp4?{query}",
        "text of another alphabet": f"{path}?expires={fields['expires']}&signature=%F0%9F%8E%A5",
    }
    for why, url in refused.items():
        answer = served.client.get(url)
        assert answer.status_code == 403, why
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_key_of_another_home_signs_nothing_here(served, address):
    foreign = MediaSigner(b"k" * 32, 900).sign(urlsplit(address).path)
    assert served.client.get(foreign).status_code == 403


def test_a_signature_ends():
    now = [1_000_000.0]
    signer = MediaSigner(b"k" * 32, 900, clock=lambda: now[0])
    path, _, query = signer.sign("/api/x").partition("?")
    fields = parse_qs(query)
    signer.check(path, fields["expires"][0], fields["signature"][0])
    now[0] += 900
    with pytest.raises(SignatureRefused, match="expired"):
        signer.check(path, fields["expires"][0], fields["signature"][0])


@given(start=st.floats(0, 4e9), after=st.floats(0, 449))
def test_a_life_is_between_half_and_whole(start, after):
    now = [start]
    signer = MediaSigner(b"k" * 32, 900, clock=lambda: now[0])
    path, _, query = signer.sign("/api/x").partition("?")
    fields = parse_qs(query)
    now[0] = start + after
    signer.check(path, fields["expires"][0], fields["signature"][0])
    now[0] = start + 901
    with pytest.raises(SignatureRefused):
        signer.check(path, fields["expires"][0], fields["signature"][0])


def test_a_page_drawn_again_gives_the_same_address():
    signer = MediaSigner(b"k" * 32, 900, clock=iter([1_000_000.0, 1_000_010.0]).__next__)
    assert signer.sign("/api/x") == signer.sign("/api/x")


def test_the_key_belongs_to_its_owner_only(served, address):
    key = served.platform.settings.home / "media.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o644)
    before = key.read_bytes()
    open_signer(served.platform.settings)
    assert (stat.S_IMODE(key.stat().st_mode), key.read_bytes()) == (0o600, before)
    assert [path.name for path in key.parent.iterdir() if "media.key" in path.name] == ["media.key"]


def test_what_no_manifest_lists_is_not_served(served, video):
    stray = store_file(served.platform, video.video_id, layout.PROCESSED_VIDEO, "video", b"stray", "mp4", "video/mp4")
    assert served.client.get(open_signer(served.platform.settings).url(stray.key)).status_code == 404
    manifest = open_signer(served.platform.settings).sign(layout.api_media(video.video_id, layout.TRACKS, "manifest.json"))
    assert served.client.get(manifest).status_code == 404


@pytest.mark.parametrize("name", ["../../../media.key", "..%2f..%2fmedia.key", "%00.mp4", "a" * 64 + ".mp4/../x", ".", "%2e%2e"])
def test_names_cannot_leave_their_folder(served, video, name):
    path = f"/api/videos/{video.video_id}/media/processed_video/{name}"
    with httpx.Client() as plain:
        answer = plain.send(httpx.Request("GET", httpx.URL(served.url).copy_with(raw_path=path.encode())))
    assert answer.status_code in (403, 404)
    signed = open_signer(served.platform.settings).sign(layout.api_media(video.video_id, layout.PROCESSED_VIDEO, name))
    assert served.client.get(signed).status_code in (403, 404)


def test_a_lost_object_is_an_error_and_not_an_empty_film(served, video, address):
    entry = served.catalog.manifest(video.video_id, layout.PROCESSED_VIDEO).file("video")
    served.platform.store.delete([entry.key])
    answer = served.client.get(address)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_superseded_alert_keeps_its_picture(served, video):
    [alert] = served.client.get("/api/alerts").json()["items"]
    evaluate(served.platform, video, [], fingerprint="e" * 64)
    [gone] = served.client.get("/api/alerts", params={"lifecycle": "superseded"}).json()["items"]
    assert (gone["id"], gone["lifecycle"]) == (alert["id"], "superseded")
    answer = served.client.get(gone["snapshot_url"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")


def test_an_upload_of_an_unsafe_kind_is_handed_over_as_a_file(served, video):
    page = store_file(served.platform, video.video_id, layout.HIGHLIGHTS, "reel", b"<script>alert(1)</script>", "html", "text/html")
    from seeded import store_manifest

    store_manifest(served.platform, video.video_id, layout.HIGHLIGHTS, [page])
    answer = served.client.get(open_signer(served.platform.settings).url(page.key))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; ")


@pytest.mark.parametrize(
    "name", ["plain.mp4", 'a"b\r\nset-cookie: x=1.mp4', "überwachung 🎥.mp4", "../../etc/passwd", "", "x" * 900, "%41;x.mp4", "\ud800.mp4"]
)
def test_names_of_downloads_stay_names(served, video, name):
    entry = served.catalog.manifest(video.video_id, layout.PROCESSED_VIDEO).file("video")
    answer = served.client.get(open_signer(served.platform.settings).url(entry.key, download=name))
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    header = answer.headers["content-disposition"]
    assert re.fullmatch(r"attachment; filename=\"[^\"\\;%\r\n]+\"; filename\*=UTF-8''[A-Za-z0-9._~%-]+", header)
    assert header.isascii()


def test_a_name_arrives_as_it_was():
    assert disposition("inline", "Höhe 1.mp4") == "inline; filename=\"H_he 1.mp4\"; filename*=UTF-8''H%C3%B6he%201.mp4"


@given(header=st.text(max_size=40), size=st.integers(0, 10_000))
def test_any_range_is_a_span_of_the_file_or_none(header, size):
    try:
        span = parse_range(header, size)
    except RangeNotSatisfiable:
        return
    assert span is None or (span.offset >= 0 and span.length >= 1 and span.offset + span.length <= size)


@given(first=st.integers(0, 20_000), last=st.integers(0, 20_000), size=st.integers(1, 10_000))
def test_a_range_gives_exactly_its_bytes(first, last, size):
    if first >= size > 0 and first <= last:
        with pytest.raises(RangeNotSatisfiable):
            parse_range(f"bytes={first}-{last}", size)
    elif first <= last:
        assert parse_range(f"bytes={first}-{last}", size) == Span(first, min(last, size - 1) - first + 1)
    else:
        assert parse_range(f"bytes={first}-{last}", size) is None


def test_the_store_is_read_in_pieces(served, video, tmp_path: Path):
    large = store_file(served.platform, video.video_id, layout.PROCESSED_VIDEO, "video", bytes(3_000_000), "mp4", "video/mp4")
    from seeded import store_manifest

    store_manifest(served.platform, video.video_id, layout.PROCESSED_VIDEO, [large])
    with served.client.stream("GET", open_signer(served.platform.settings).url(large.key)) as answer:
        assert max(len(piece) for piece in answer.iter_raw()) <= 1_000_000
