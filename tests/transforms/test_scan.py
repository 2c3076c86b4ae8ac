from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from transforms.scan import prune, value_at

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=10)



def test_a_span_has_the_ends_and_the_depth_of_a_value() -> None:
    assert value_at(b' {"a":[[]]}}', 1) == (1, 11, 3, [])
    assert value_at(b' {"a":[[]]}}', 1, levels=2) == (1, 11, 3, [(7, 9)])
    assert value_at(b'[[]', 0) is None
    assert value_at(b'', 0) is None
    assert value_at(b'"a\\"b"c', 0) == (0, 6, 0, ())



@given(JSON, st.integers(1, 4))
def test_pruning_leaves_empty_arrays_below_the_last_level(value: object, levels: int) -> None:
    def cut(value: object, left: int) -> object:
        if isinstance(value, dict):
            return {key: cut(member, left - 1) for key, member in value.items()} if left else []
        if isinstance(value, list):
            return [cut(member, left - 1) for member in value] if left else []
        return value

    data = json.dumps(value).encode()
    span = value_at(data, 0, levels)
    assert span is not None and json.loads(prune(data, span)) == cut(value, levels)
