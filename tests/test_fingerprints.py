from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_platform.fingerprints import canonical, content_hash, fingerprint, hash_of_text, text_of, text_of_mapping
from video_platform.records import Lane

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False, width=32) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_canonical_is_stable_under_itself(value):
    assert content_hash(canonical(value)) == content_hash(value)


def test_order_of_keys_and_noise_of_floats_do_not_count():
    assert content_hash({"a": 1.00001, "b": [0.30000004]}) == content_hash({"b": [0.3], "a": 1})


def test_what_is_said_counts():
    hashes = {content_hash(value) for value in (None, False, 0, 0.1, "0", [], [0], {}, {"0": 0}, {"0": "0"})}
    assert len(hashes) == 10


def test_domain_values_have_a_form():
    @dataclass(frozen=True)
    class Pair:
        left: int
        lane: Lane

    assert canonical(Pair(1, Lane.LIVE)) == {"left": 1, "lane": "live"}
    assert canonical({3, 1, 2}) == [1, 2, 3]
    assert canonical(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00+00:00"
    assert canonical(float("nan")) == "nan"


def test_what_has_no_form_is_refused():
    with pytest.raises(TypeError, match="no canonical form for bytes"):
        canonical(b"bytes")


def test_each_part_of_a_fingerprint_counts():
    base = fingerprint("1", {"rate": 5.0}, {"raw_video": "aa"})
    assert base == fingerprint("1", {"rate": 5}, {"raw_video": "aa"})
    assert (
        len(
            {
                base,
                fingerprint("2", {"rate": 5}, {"raw_video": "aa"}),
                fingerprint("1", {"rate": 4}, {"raw_video": "aa"}),
                fingerprint("1", {"rate": 5}, {"raw_video": "ab"}),
            }
        )
        == 4
    )


@given(st.dictionaries(st.text(max_size=4), PLAIN, max_size=4))
def test_a_mapping_whose_values_are_texts_already_has_the_text_of_the_whole(whole):
    assert text_of_mapping({name: text_of(value) for name, value in whole.items()}) == text_of(whole)
    assert hash_of_text(text_of(whole)) == content_hash(whole)
