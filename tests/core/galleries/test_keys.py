import pytest
import torch
from bdk.errors import ComponentError, PlanError
from bdk.galleries.keys import pooled_key
from bdk.galleries.queries import QUERIES, query_for
from bdk.spaces import Space

IMAGE = Space("toy/image", 5, 8, "image", "cls", pooled="toy/pooled")
TEXT = Space("toy/text", 6, 8, "text", "pooled", pooled="toy/pooled")


def test_an_image_key_is_token_zero_at_unit_length():
    tokens = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
    key = pooled_key(tokens, "image-cls", IMAGE)
    assert torch.allclose(key, tokens[:, 0] / tokens[:, 0].norm(dim=1, keepdim=True))
    assert torch.allclose(key.norm(dim=1), torch.ones(3))


def test_a_text_key_is_the_mean_of_all_tokens_but_the_first():
    tokens = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(1))
    mean = torch.stack([sum(tokens[b, t] for t in range(1, 6)) / 5 for b in range(2)])
    assert torch.allclose(pooled_key(tokens, "text", TEXT), mean / mean.norm(dim=1, keepdim=True), atol=1e-6)


def test_a_text_space_of_one_token_is_its_own_key():
    tokens = torch.randn(2, 1, 8)
    one = Space("toy/text1", 1, 8, "text", "pooled", pooled="toy/pooled")
    assert torch.allclose(pooled_key(tokens, "auto", one), torch.nn.functional.normalize(tokens[:, 0], dim=1))


def test_the_key_does_not_change_its_input():
    tokens = torch.randn(2, 5, 8)
    before = tokens.clone()
    pooled_key(tokens, "encoder", IMAGE)
    assert torch.equal(tokens, before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0])
def test_a_key_that_points_nowhere_is_refused(bad):
    tokens = torch.ones(2, 5, 8)
    tokens[1, 0] = bad
    with pytest.raises(ComponentError, match="points nowhere"):
        pooled_key(tokens, "image-cls", IMAGE)


def test_a_query_of_the_other_modality_is_refused():
    with pytest.raises(PlanError, match="image tokens"):
        pooled_key(torch.ones(1, 6, 8), "image-cls", TEXT)


def test_a_latent_space_has_no_key():
    with pytest.raises(PlanError, match="no pooled key"):
        pooled_key(torch.ones(1, 4, 8), "auto", Space("toy/latent", 4, 8, "latent"))


def test_auto_is_the_guides_own_query():
    assert query_for("auto", "image").name == "image-cls"
    assert query_for("auto", "text").name == "text"
    with pytest.raises(PlanError, match="no query 'auto'"):
        query_for("auto", "low")


def test_a_query_whose_guide_the_run_lacks_is_refused():
    assert query_for("image-cls", "text", ("image", "text")).guide == "image"
    with pytest.raises(PlanError, match="which this run does not have"):
        query_for("image-cls", "text", ("text",))


def test_only_image_tokens_ranks_again():
    assert [query.name for query in QUERIES.values() if query.reranks] == ["image-tokens"]
