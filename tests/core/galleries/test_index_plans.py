import math

import pytest
from bdk.errors import PlanError
from bdk.galleries.index_plans import choose_index, lists_for, plan_index, pq_parts, size

LAION2B = 2_300_000_000


def test_bytes_of_2300_million_rows_are_those_on_paper():
    assert plan_index("flat", 1, 768).bytes_per_vector == 1536
    assert plan_index("ivf-sq8", 10**6, 768).bytes_per_vector == 776
    assert plan_index("opq-ivf-pq", 10**6, 768).bytes_per_vector == 104
    assert plan_index("ivf-flat", LAION2B, 768).bytes / 1e12 == pytest.approx(7.1, abs=0.05)
    assert plan_index("ivf-sq8", LAION2B, 768).bytes / 1e12 == pytest.approx(1.8, abs=0.05)
    assert plan_index("opq-ivf-pq", LAION2B, 768).bytes / 1e9 == pytest.approx(239, abs=2)


def test_twice_the_rows_are_about_twice_the_bytes_and_work():
    for kind in ("ivf-flat", "ivf-sq8", "opq-ivf-pq"):
        for n in (10**5, 10**7, 10**9):
            once, twice = plan_index(kind, n, 768), plan_index(kind, 2 * n, 768)
            assert 1.8 <= twice.bytes / once.bytes <= 2.1
            assert twice.add_flop >= 1.9 * once.add_flop


def test_a_smaller_budget_never_chooses_a_larger_index():
    sizes = [choose_index(10**6, 768, memory).plan.bytes for memory in (8e9, 4e9, 2e9, 1e9, 1e8, 1e6)]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("n", "memory", "kind", "on_disk"),
    [
        (3000, 1e9, "flat", False),
        (10**6, 8e9, "ivf-flat", False),
        (10**6, 2e9, "ivf-sq8", False),
        (10**6, 3e8, "opq-ivf-pq", False),
        (LAION2B, 64e9, "opq-ivf-pq", True),
    ],
)
def test_the_choice_follows_size_and_memory_and_says_why(n, memory, kind, on_disk):
    choice = choose_index(n, 768, memory)
    assert (choice.plan.kind, choice.on_disk) == (kind, on_disk)
    assert choice.why


def test_what_was_asked_for_is_chosen():
    assert choose_index(10**6, 768, 8e9, "ivf-sq8").plan.kind == "ivf-sq8"
    assert choose_index(10**6, 768, 8e9, "ivf-sq8", on_disk=True).on_disk
    assert choose_index(10**6, 768, 1e8, "ivf-sq8").on_disk


@pytest.mark.parametrize("kind", ["ivf-flat", "ivf-sq8", "opq-ivf-pq"])
def test_training_stays_within_seven_eighths_of_memory(kind):
    for memory in (1e8, 1e9, 64e9):
        plan = plan_index(kind, LAION2B, 768, memory=memory)
        assert plan.train_rows * 4 * 768 <= memory / 2
        assert plan.train_bytes <= 7 / 8 * memory
        assert plan.train_rows >= 32 * plan.nlist


def test_lists_are_powers_of_two_within_bounds():
    assert [lists_for(n) for n in (1, 10**4, 10**6, LAION2B, 10**12)] == [16, 512, 4096, 262144, 262144]


def test_a_pq_code_divides_the_dimension():
    for dim in (1, 7, 16, 128, 512, 768, 1000, 1024, 1280):
        assert dim % pq_parts(dim) == 0 and pq_parts(dim) <= max(1, dim // 8)


def test_an_empty_index_is_refused():
    with pytest.raises(PlanError):
        plan_index("ivf-flat", 0, 768)


def test_sizes_in_words():
    assert [size(n) for n in (12, 1.5e3, 2.5e6, 7.08e12)] == ["12 B", "1.5 kB", "2.5 MB", "7.08 TB"]
    assert math.isclose(plan_index("flat", 10, 4).query_bytes, 80)
