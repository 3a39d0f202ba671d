"""The size of a tile is found by trying, and chunks keep to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.exactness import LARGEST_TILE, chunk_rows, find_tile


def kernel(tile):
    """Rows of whole tiles come out as they are, the rest with other last bits."""

    def run(rows):
        whole = rows - rows % tile
        result = np.arange(rows, dtype=np.float32)[:, None] + np.linspace(0, 1, 5, dtype=np.float32)
        result[whole:] = np.nextafter(result[whole:], np.float32(100))
        return result

    return run


@pytest.mark.parametrize("tile", [1, 2, 4, 8])
def test_the_least_batch_that_rounds_like_a_larger_one_is_found(tile):
    assert find_tile(kernel(tile)) == tile


def test_a_kernel_that_never_rounds_alike_gets_the_largest_tile():
    assert find_tile(lambda rows: np.full((rows, 1), rows, np.float32)) == LARGEST_TILE


@given(st.integers(1, 5000), st.integers(1, 600))
def test_chunks_cover_a_prompt_in_whole_tiles_and_leave_no_lone_row(length, limit):
    done = 0
    while done < length:
        assert done % LARGEST_TILE == 0
        rows = chunk_rows(length - done, limit)
        assert 1 <= rows <= max(limit, LARGEST_TILE) * 1.25
        assert rows > 1 or length == 1
        done += rows
    assert done == length
