"""A tiny random CLIP in open_clip's folder form, and the same weights as transformers' CLIP."""

from __future__ import annotations

import json

import pytest
import torch

WIDTH, TEXT_WIDTH, DIM, SIDE, PATCH, TOKENS, VOCABULARY = 64, 64, 32, 56, 14, 77, 49408


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory):
    import open_clip
    from safetensors.torch import save_file

    config = {
        "embed_dim": DIM,
        "quick_gelu": True,
        "vision_cfg": {"image_size": SIDE, "layers": 2, "width": WIDTH, "head_width": 16, "patch_size": PATCH},
        "text_cfg": {"context_length": TOKENS, "vocab_size": VOCABULARY, "width": TEXT_WIDTH, "heads": 4, "layers": 2},
    }
    folder = tmp_path_factory.mktemp("clip")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    torch.manual_seed(0)
    model = open_clip.CLIP(**config)
    for parameter in model.parameters():
        parameter.data = parameter.data + 0.05 * torch.randn_like(parameter)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="session")
def twin(clip_folder):
    """transformers' CLIP with those weights."""
    from safetensors.torch import load_file
    from transformers import CLIPConfig, CLIPModel

    shared = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_act": "quick_gelu", "projection_dim": DIM}
    vision = {**shared, "hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "image_size": SIDE, "patch_size": PATCH}
    text = {**shared, "hidden_size": TEXT_WIDTH, "intermediate_size": 4 * TEXT_WIDTH, "vocab_size": VOCABULARY,
            "max_position_embeddings": TOKENS, "eos_token_id": 49407, "bos_token_id": 49406}  # fmt: skip
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=DIM)).eval()
    model.load_state_dict(translated(load_file(clip_folder / "open_clip_model.safetensors")))
    return model


def translated(state):
    """open_clip's names to transformers'."""
    found = {
        "logit_scale": state["logit_scale"],
        "visual_projection.weight": state["visual.proj"].T,
        "text_projection.weight": state["text_projection"].T,
        "vision_model.embeddings.class_embedding": state["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": state["visual.positional_embedding"],
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
    }
    norms = {
        "visual.ln_pre": "vision_model.pre_layrnorm",
        "visual.ln_post": "vision_model.post_layernorm",
        "ln_final": "text_model.final_layer_norm",
    }
    for ours, theirs in norms.items():
        for kind in ("weight", "bias"):
            found[f"{theirs}.{kind}"] = state[f"{ours}.{kind}"]
    for ours, theirs in (("visual.transformer", "vision_model"), ("transformer", "text_model")):
        for layer in range(2):
            found |= _layer(state, f"{ours}.resblocks.{layer}", f"{theirs}.encoder.layers.{layer}")
    return {key: value.contiguous() for key, value in found.items()}


def _layer(state, ours, theirs):
    pairs = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "attn.out_proj": "self_attn.out_proj",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    found = {}
    for kind in ("weight", "bias"):
        for here, there in pairs.items():
            found[f"{theirs}.{there}.{kind}"] = state[f"{ours}.{here}.{kind}"]
        parts = state[f"{ours}.attn.in_proj_{kind}"].chunk(3)
        for name, part in zip("qkv", parts, strict=True):
            found[f"{theirs}.self_attn.{name}_proj.{kind}"] = part
    return found
