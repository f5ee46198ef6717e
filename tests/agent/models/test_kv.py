import torch

from agent.models.kv import BatchCache


def filled(cache: BatchCache, additions: list[list[int]]) -> torch.Tensor:
    """Append tokens; keys are the token ids, so that one can see where they went."""
    ids, positions = cache.extend(additions)
    states = ids[:, None, :, None].float().expand(-1, 2, -1, 3).contiguous()
    cache.cache.update(states, states, 0)
    return positions


def held(cache: BatchCache) -> list[list[int]]:
    keys = cache.cache.layers[0].keys[:, 0, :, 0]
    return [keys[row][cache.mask[row]].long().tolist() for row in range(len(cache.mask))]


def test_rows_grow_at_their_own_speed() -> None:
    cache = BatchCache(torch.device("cpu"))
    assert [cache.add_row(), cache.add_row()] == [0, 1]
    assert filled(cache, [[1, 2, 3], [4]]).tolist() == [[0, 1, 2], [0, 0, 0]]
    assert filled(cache, [[], [5, 6]])[1].tolist() == [1, 2]
    assert filled(cache, [[7], [8]]).tolist() == [[3], [3]]
    assert held(cache) == [[1, 2, 3, 7], [4, 5, 6, 8]]
    assert cache.lengths == [4, 4]


def test_compacting_keeps_order_and_content() -> None:
    cache = BatchCache(torch.device("cpu"))
    cache.add_row()
    cache.add_row()
    for token in range(1, 300):
        filled(cache, [[token], []] if token % 2 else [[], [token]])
    before = held(cache)
    cache.compact()
    assert held(cache) == before
    assert cache.mask.shape[1] == 150
    assert filled(cache, [[7], [8]]).tolist() == [[150], [149]]


def test_rows_come_and_go() -> None:
    cache = BatchCache(torch.device("cpu"))
    cache.add_row()
    filled(cache, [[1, 2]])
    cache.add_row()
    filled(cache, [[3], [9, 8]])
    cache.remove_row(0)
    assert held(cache) == [[9, 8]]
    cache.clear_row(0)
    assert cache.lengths == [0]
    assert filled(cache, [[5]]).tolist() == [[0]]
    assert held(cache) == [[5]]
    cache.remove_row(0)
    assert cache.mask.shape == (0, 0)
