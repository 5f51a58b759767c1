"""Fifty true and fifty false sentences about known videos, written before the check that judges them: nothing false is shown as fact."""

import pytest

from benchmarks.claims import Claim, claims, judged, videos
from video_platform.analysis.summary_claims import judge

ALL = claims()
LEAST_TRUE = 45
"""Of fifty; a true sentence that is not understood is not shown as fact, which costs words and nothing else."""


@pytest.fixture(scope="module")
def facts():
    return videos()


def test_there_are_fifty_of_each():
    assert (sum(claim.true for claim in ALL), sum(not claim.true for claim in ALL)) == (50, 50)
    assert len({(claim.video, claim.text, *claim.references) for claim in ALL}) == 100


@pytest.mark.parametrize("claim", [claim for claim in ALL if not claim.true], ids=lambda claim: claim.text)
def test_nothing_false_is_shown_as_fact(facts, claim: Claim):
    assert judge(claim.text, claim.references, facts[claim.video]).state != "supported"


@pytest.mark.parametrize("claim", [claim for claim in ALL if claim.true], ids=lambda claim: claim.text)
def test_nothing_true_is_called_contradicted(facts, claim: Claim):
    assert judge(claim.text, claim.references, facts[claim.video]).state != "contradicted"


def test_most_of_what_is_true_is_shown_as_fact_and_the_rest_says_why():
    found = list(judged())
    assert sum(state == "supported" for claim, state, _ in found if claim.true) >= LEAST_TRUE
    assert all(why for _, state, why in found if state == "not_checkable")
