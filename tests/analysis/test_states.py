import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from video_platform.analysis.states import held, sparse_stays


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.sampled_from([2.0, 5.0, 10.0, 30.0]), st.integers(1, 3))
def test_a_sparse_column_has_the_stays_of_the_full_one(state, rate, groups):
    flags = np.array(state * groups)
    at_s = np.arange(len(state)) / rate
    group = np.repeat(np.arange(groups), len(state))
    starts = np.diff(group, prepend=-1) != 0
    first, last, track = held(flags, np.tile(at_s, groups), group, starts).stays()
    true = np.flatnonzero(flags)
    sparse_first, sparse_last = sparse_stays(group[true], true % len(state), at_s)
    assert true[sparse_first].tolist() == first.tolist()
    assert true[sparse_last].tolist() == last.tolist()
    assert group[true][sparse_first].tolist() == track.tolist()


def test_nothing_has_no_stay():
    none = np.zeros(0, np.int64)
    assert [len(rows) for rows in sparse_stays(none, none, np.arange(5.0))] == [0, 0]
