import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_platform import layout

SHA = "0123456789abcdef" * 4


def test_the_identity_of_a_video_is_the_head_of_its_hash():
    assert layout.video_id_of(SHA) == SHA[:16]
    assert layout.is_video_id(SHA[:16])


@pytest.mark.parametrize("text", ["", "0123456789ABCDEF", SHA[:15], SHA[:17], SHA[:16] + "\n", "../../../etc/pass", "０" * 16])
def test_anything_else_is_no_video_id(text):
    assert not layout.is_video_id(text)
    with pytest.raises(ValueError, match="16 hex digits"):
        layout.video_prefix(text)


def test_keys_round_trip():
    for asset in layout.ASSETS:
        key = layout.file_key(SHA[:16], asset, SHA, "mp4")
        assert layout.parse_file_key(key) == (SHA[:16], asset, SHA, "mp4")
        assert layout.manifest_key(SHA[:16], asset).startswith(layout.video_prefix(SHA[:16]))


@given(st.text(max_size=120))
def test_no_text_is_taken_for_a_key_unless_it_is_one(text):
    try:
        parts = layout.parse_file_key(text)
    except ValueError:
        return
    assert layout.file_key(*parts) == text


@pytest.mark.parametrize(("asset", "extension"), [("raw_video", "../x"), ("raw_video", "MP4"), ("nothing", "mp4"), ("raw_video", "")])
def test_a_file_key_is_made_of_our_own_words(asset, extension):
    with pytest.raises(ValueError, match="not a file"):
        layout.file_key(SHA[:16], asset, SHA, extension)


def test_a_link_to_a_moment():
    assert layout.page_video(SHA[:16], 2.604) == f"/video?video={SHA[:16]}&t=2.60"
    assert layout.api_media(SHA[:16], "raw_video", "a b/..?.mp4").endswith("/media/raw_video/a%20b%2F..%3F.mp4")
