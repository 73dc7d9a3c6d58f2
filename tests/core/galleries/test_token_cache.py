import os

import pytest
import torch
from bdk.galleries.token_cache import TokenCache

BIG = 10**9


def tensor(seed, size=(5, 8)):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def test_what_is_put_comes_back_at_half_precision(tmp_path):
    TokenCache(tmp_path, BIG).put({"a": tensor(0), "b": tensor(1)})
    found = TokenCache(tmp_path, BIG).get(["a", "b", "c"])
    assert set(found) == {"a", "b"} and found["a"].dtype == torch.float32
    assert torch.equal(found["a"], tensor(0).half().float())


def test_another_process_is_seen_at_the_next_question(tmp_path):
    reader, writer = TokenCache(tmp_path, BIG), TokenCache(tmp_path, BIG)
    assert reader.get(["a"]) == {}
    writer.put({"a": tensor(0)})
    assert set(reader.get(["a"])) == {"a"}


def test_the_bound_holds_and_the_pack_unused_for_longest_goes_first(tmp_path):
    cache = TokenCache(tmp_path, 60_000)
    for number in range(4):
        cache.put({str(number): tensor(number, (100, 100))})  # 20 kB each
        pack = max(tmp_path.glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns)
        os.utime(pack, ns=(number * 10**9, number * 10**9))
        if number == 1:
            TokenCache(tmp_path, 60_000).get(["0"])  # used: its time is now
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 60_000
    assert set(TokenCache(tmp_path, BIG).get(list("0123"))) == {"0", "3"}


def test_what_is_larger_than_the_bound_is_not_kept(tmp_path):
    TokenCache(tmp_path, 100).put({"a": tensor(0, (100, 100))})
    TokenCache(tmp_path / "none", 0).put({"a": tensor(0)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("harm", ["cut", "flip", "empty"])
def test_a_damaged_pack_is_moved_aside_and_counts_as_absent(tmp_path, harm):
    TokenCache(tmp_path, BIG).put({"a": tensor(0)})
    (pack,) = tmp_path.glob("*.safetensors")
    data = bytearray(pack.read_bytes())
    data[-3] ^= 64
    pack.write_bytes({"cut": data[:-5], "flip": data, "empty": b""}[harm])
    cache = TokenCache(tmp_path, BIG)
    assert cache.get(["a"]) == {} and cache.damaged == 1
    assert [path.suffix for path in tmp_path.iterdir()] == [".damaged"]
    cache.put({"a": tensor(0)})
    assert set(cache.get(["a"])) == {"a"}


def test_a_pack_that_vanishes_counts_as_absent(tmp_path):
    cache = TokenCache(tmp_path, BIG)
    cache.put({"a": tensor(0)})
    assert cache.get(["a"])
    reader = TokenCache(tmp_path, BIG)
    reader._scan()
    next(tmp_path.glob("*.safetensors")).unlink()
    assert reader.get(["a"]) == {}
