"""Tiny checkpoints in Hugging Face's layout with seeded random weights: right in shape, fast, and without meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

HIDDEN = 64
INNER = 160
HEADS = 4
KV_HEADS = 2
VOCABULARY = 320
CONTEXT_TOKENS = 512
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Tokens of the window of a Gemma: shorter than most prompts.
WINDOW = 8
# Of a Granite, each of them far from 1.
MULTIPLIERS = {
    "attention_multiplier": 0.1,
    "embedding_multiplier": 3.0,
    "logits_scaling": 4.0,
    "residual_multiplier": 0.4,
}
_DTYPES: dict[str, npt.DTypeLike] = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


def make_tiny_checkpoint(
    folder: Path,
    model_type: str = "qwen2",
    *,
    tie: bool = False,
    layers: int = 2,
    seed: int = 0,
    dtype: str = "float32",
    shards: int = 1,
    inner: int = INNER,
    head: int | None = None,
    **config: Any,
) -> Path:
    """Write config.json, model*.safetensors, tokenizer.json, tokenizer_config.json and generation_config.json.

    Args:
        folder: made if absent.
        model_type: "qwen2" (biases on query, key and value), "qwen3" (norms on query and key heads, and a head size of
            its own), "llama", "mistral" (neither), "granite" (multipliers),
            "granitemoehybrid" (also one tensor for gate and up) or "gemma3_text" (windows, and norms of outputs).
        tie: the output head is the embedding.
        layers: decoder layers.
        seed: equal seeds give equal bytes.
        dtype: "float32", "float16" or "bfloat16".
        shards: files that hold the weights; more than one come with an index.
        inner: width of the feed-forward. Of the usual one, TensorRT's blocks of 4-bit weights make no whole number.
        head: elements of a head, which config.json then states; None takes the usual ones.
        config: keys of config.json to add or replace; they do not change the weights.

    Returns:
        `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    shapes = dict(_shapes(model_type, tie=tie, layers=layers, inner=inner, size=head or head_dim(model_type)))
    tensors = {name: _values(generator, name, shape).astype(_DTYPES[dtype]) for name, shape in shapes.items()}
    _save(folder, tensors, shards)
    if head is not None:
        config = {"head_dim": head, **config}
    usual = tiny_config(model_type, tie=tie, layers=layers, dtype=dtype)
    width = "shared_intermediate_size" if model_type == "granitemoehybrid" else "intermediate_size"
    _write_json(folder / "config.json", {**usual, width: inner, **config})
    (folder / "tokenizer.json").write_text(tiny_tokenizer().to_str(pretty=True), encoding="utf-8")
    _write_json(
        folder / "tokenizer_config.json",
        {
            "chat_template": CHAT_TEMPLATE,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    )
    _write_json(
        folder / "generation_config.json",
        {"eos_token_id": [258, 256], "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.1},
    )
    return folder


def tiny_config(
    model_type: str = "qwen2", *, tie: bool = False, layers: int = 2, dtype: str = "float32"
) -> dict[str, Any]:
    """Return config.json of a tiny checkpoint."""
    config: dict[str, Any] = {
        "architectures": [f"{model_type.split('_', maxsplit=1)[0].capitalize()}ForCausalLM"],
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "max_position_embeddings": CONTEXT_TOKENS,
        "model_type": model_type,
        "num_attention_heads": HEADS,
        "num_hidden_layers": layers,
        "num_key_value_heads": KV_HEADS,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": tie,
        "torch_dtype": dtype,
        "vocab_size": VOCABULARY,
    }
    if model_type == "qwen3":
        config |= {"attention_bias": False, "head_dim": head_dim(model_type)}
    if model_type in {"granite", "granitemoehybrid"}:
        config |= MULTIPLIERS
    if model_type == "granitemoehybrid":
        config |= {
            "architectures": ["GraniteMoeHybridForCausalLM"],
            "layer_types": ["attention"] * layers,
            "num_local_experts": 0,
            "position_embedding_type": "rope",
            "shared_intermediate_size": INNER,
        }
    if model_type == "gemma3_text":
        del config["hidden_act"]
        config |= {
            "head_dim": head_dim(model_type),
            "hidden_activation": "gelu_pytorch_tanh",
            "layer_types": ["sliding_attention" if layer % 2 == 0 else "full_attention" for layer in range(layers)],
            "query_pre_attn_scalar": 48,
            "rope_local_base_freq": 1000.0,
            "sliding_window": WINDOW,
        }
    if model_type == "mistral":
        config |= {"sliding_window": None}
    return config


def head_dim(model_type: str) -> int:
    """Elements a head: more than hidden/heads in Qwen3 and Gemma 3."""
    return 32 if model_type in {"qwen3", "gemma3_text"} else HIDDEN // HEADS


def tiny_tokenizer() -> Tokenizer:
    """A byte-level BPE tokenizer of Qwen's kind: 256 bytes, then the special tokens; shorter than the embedding."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(letters)}, merges=[]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    return tokenizer


def _shapes(model_type: str, *, tie: bool, layers: int, inner: int, size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    widths = {"q": HEADS * size, "k": KV_HEADS * size, "v": KV_HEADS * size}
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for layer in range(layers):
        prefix = f"model.layers.{layer}"
        yield f"{prefix}.input_layernorm.weight", (HIDDEN,)
        for part, width in widths.items():
            yield f"{prefix}.self_attn.{part}_proj.weight", (width, HIDDEN)
            if model_type == "qwen2":
                yield f"{prefix}.self_attn.{part}_proj.bias", (width,)
        if model_type in {"qwen3", "gemma3_text"}:
            yield f"{prefix}.self_attn.q_norm.weight", (size,)
            yield f"{prefix}.self_attn.k_norm.weight", (size,)
        yield f"{prefix}.self_attn.o_proj.weight", (HIDDEN, widths["q"])
        yield f"{prefix}.post_attention_layernorm.weight", (HIDDEN,)
        if model_type == "gemma3_text":
            yield f"{prefix}.pre_feedforward_layernorm.weight", (HIDDEN,)
            yield f"{prefix}.post_feedforward_layernorm.weight", (HIDDEN,)
        if model_type == "granitemoehybrid":
            yield f"{prefix}.shared_mlp.input_linear.weight", (2 * inner, HIDDEN)
            yield f"{prefix}.shared_mlp.output_linear.weight", (HIDDEN, inner)
        else:
            yield f"{prefix}.mlp.gate_proj.weight", (inner, HIDDEN)
            yield f"{prefix}.mlp.up_proj.weight", (inner, HIDDEN)
            yield f"{prefix}.mlp.down_proj.weight", (HIDDEN, inner)
    yield "model.norm.weight", (HIDDEN,)
    if not tie:
        yield "lm_head.weight", (VOCABULARY, HIDDEN)


def _values(generator: np.random.Generator, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Norms near 1, small biases, matrices that keep the size of what they multiply."""
    values = generator.standard_normal(shape).astype(np.float32)
    if name.endswith("norm.weight"):
        return np.float32(1) + np.float32(0.1) * values
    if name.endswith(".bias"):
        return np.float32(0.1) * values
    if "embed_tokens" in name:
        return values
    return values * np.float32(1.5 / np.sqrt(shape[-1]))


def _save(folder: Path, tensors: dict[str, npt.NDArray[Any]], shards: int) -> None:
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return
    names = [f"model-{index + 1:05}-of-{shards:05}.safetensors" for index in range(shards)]
    where = {tensor: names[index % shards] for index, tensor in enumerate(tensors)}
    for name in names:
        save_file({tensor: tensors[tensor] for tensor in tensors if where[tensor] == name}, folder / name)
    total = sum(array.nbytes for array in tensors.values())
    _write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": where})


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
