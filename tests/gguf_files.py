"""Writes a tiny checkpoint as a GGUF file, as llama.cpp's converter lays Qwen and Llama models out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from safetensors.numpy import load_file

from tests.checkpoints import CHAT_TEMPLATE, HEADS, KV_HEADS, SPECIAL, make_tiny_checkpoint

_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_ADDERS = {
    bool: GGUFWriter.add_bool,
    int: GGUFWriter.add_uint32,
    float: GGUFWriter.add_float32,
    str: GGUFWriter.add_string,
}


def make_tiny_gguf(
    path: Path,
    model_type: str = "qwen2",
    *,
    tie: bool = False,
    kind: str = "F32",
    settings: Mapping[str, int | float | str] | None = None,
    architecture: str = "",
    template: str = CHAT_TEMPLATE,
    marks: Sequence[str] = (),
    pre: str = "qwen2",
    first: str = "",
    divisors: Sequence[float] = (),
) -> Path:
    """Write the weights of `make_tiny_checkpoint` with the same arguments, its matrices as `kind` says.

    Args:
        path: the file; the other form of the checkpoint goes to a folder beside it.
        model_type: see `make_tiny_checkpoint`.
        tie: see `make_tiny_checkpoint`.
        kind: GGUF's name of the elements' type for matrices, for example "Q8_0".
        settings: numbers and texts to add below `<architecture>.`.
        architecture: replaces the name of the architecture.
        template: the chat template.
        marks: texts of tokens to add, which are no special ones.
        pre: name of the rules that split texts.
        first: a special token with which every text begins.
        divisors: of the rotation's frequencies, for the tensor rope_freqs.weight.

    Returns:
        `path`.
    """
    folder = make_tiny_checkpoint(path.parent / f"{path.stem}-published", model_type, tie=tie)
    config = json.loads((folder / "config.json").read_text())
    writer = GGUFWriter(path, architecture or model_type)
    _add_settings(writer, config)
    for key, value in (settings or {}).items():
        _ADDERS[type(value)](writer, f"{architecture or model_type}.{key}", value)
    _add_words(writer, folder, marks, pre, first)
    writer.add_chat_template(template)
    for name, published in load_file(folder / "model.safetensors").items():
        tensor = in_pairs(name, published) if model_type in {"llama", "granite"} else published
        chosen = GGMLQuantizationType[kind] if tensor.ndim > 1 and tensor.shape[-1] % 32 == 0 else None
        if chosen in {None, GGMLQuantizationType.F32}:
            writer.add_tensor(gguf_name(name), tensor.astype(np.float32))
        else:
            writer.add_tensor(gguf_name(name), quantize(tensor, chosen), raw_dtype=chosen)
    if divisors:
        writer.add_tensor("rope_freqs.weight", np.array(divisors, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def in_pairs(name: str, tensor: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Query and key with the two rows that are rotated together beside each other, as llama.cpp wants them of Llama."""
    heads = {"q_proj": HEADS, "k_proj": KV_HEADS}.get(name.split(".")[-2])
    if heads is None:
        return tensor
    halves = np.split(tensor.reshape(heads, -1, tensor.shape[-1]), 2, axis=1)
    return np.stack(halves, axis=2).reshape(tensor.shape)


def gguf_name(name: str) -> str:
    """GGUF's name of a Hugging Face tensor."""
    stem, _, ending = name.rpartition(".")
    if stem in _NAMES:
        return f"{_NAMES[stem]}.{ending}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{_NAMES[part]}.{ending}"


def _add_settings(writer: GGUFWriter, config: Mapping[str, Any]) -> None:
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    if "attention_multiplier" in config:
        writer.add_attention_scale(config["attention_multiplier"])
        writer.add_embedding_scale(config["embedding_multiplier"])
        writer.add_logit_scale(config["logits_scaling"])
        writer.add_residual_scale(config["residual_multiplier"])
    if "head_dim" in config:
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])


def _add_words(writer: GGUFWriter, folder: Path, marks: Sequence[str], pre: str, first: str) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    words = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].__getitem__)
    padding = [f"[PAD{index}]" for index in range(len(words) + len(SPECIAL) + len(marks), 320)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([*words, *SPECIAL, *marks, *padding])
    writer.add_token_types([1] * len(words) + [3] * len(SPECIAL) + [4] * len(marks) + [5] * len(padding))
    writer.add_eos_token_id(len(words) + SPECIAL.index("<|im_end|>"))
    writer.add_add_bos_token(bool(first))
    if first:
        writer.add_bos_token_id(len(words) + SPECIAL.index(first))
