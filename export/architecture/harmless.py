"""Keys of config.json that tools write and that do not change what the model computes, each group with its reason.

A key whose value could change the logits is not here: `Configuration` reads it, or checks that it has no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_GROUPS: Mapping[str, str] = {
    "names of the model, its origin and the tool that wrote the file": """
        _commit_hash _name_or_path architectures finetuning_task is_llama_config language license model_name model_type
        name tags task_specific_params tokenizer_class transformers.js_config transformers_version""",
    "numbers of tokens: the tokenizer and generation_config.json have them too": """
        bos_token_id decoder_start_token_id eos_token_id pad_token_id prefix sep_token_id""",
    "types of stored elements: each tensor has its own": "dtype torch_dtype use_bfloat16",
    "initial values of weights: the file has the trained ones": "init_method initializer_factor initializer_range",
    "training: dropout, checkpoints of gradients, losses": """
        attention_dropout attention_probs_dropout_prob attn_dropout embd_pdrop gradient_checkpointing hidden_dropout
        hidden_dropout_prob label_smoothing neftune_noise_alpha resid_pdrop router_aux_loss_coef tf_legacy_loss
        use_gradient_checkpointing""",
    "the supported models are decoders, whatever this key has": "is_decoder",
    "whether the weights were trained with the scaled rotation": "finetuned",
    "heads for classification": "classifier_dropout id2label label2id num_labels problem_type",
    "the head of BERT's training, and notes of its first programs": """
        directionality output_past pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers
        pooler_size_per_head pooler_type""",
    "which implementation computes: all compute the same": """
        _attn_implementation _attn_implementation_autoset _attn_implementation_internal _flash_attn_2_enabled
        _experts_implementation attn_implementation cache_implementation chunk_size_feed_forward torchscript use_cache
        use_flash_attn use_flash_attention_2 use_sdpa""",
    "what a call returns beside the logits": """
        output_attentions output_hidden_states output_router_logits output_scores return_dict return_dict_in_generate
        use_return_dict""",
    "decoding: generation_config.json and the request decide": """
        bad_words_ids begin_suppress_tokens diversity_penalty do_sample early_stopping encoder_no_repeat_ngram_size
        exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id length_penalty max_length
        max_new_tokens min_length no_repeat_ngram_size num_beam_groups num_beams num_return_sequences
        remove_invalid_values repetition_penalty suppress_tokens temperature top_k top_p typical_p""",
}
# Key -> why it changes nothing.
IGNORED: Mapping[str, str] = {key: reason for reason, keys in _GROUPS.items() for key in keys.split()}
# Unsloth notes its version and what it mended in the file.
_IGNORED_PREFIXES = ("unsloth_",)
# Key -> the only values with which the model computes what is described here; an absent key is like the first value.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "add_cross_attention": (False,),
    "attn_logit_softcapping": (None, 0),
    "cross_attention_hidden_size": (None,),
    "dual_chunk_attention_config": (None,),
    "final_logit_softcapping": (None, 0),
    "is_causal": (True,),
    "is_encoder_decoder": (False,),
    "mlp_bias": (False,),
    "partial_rotary_factor": (1.0,),
    "pretraining_tp": (1,),
    "pruned_heads": ({}, []),
    # SmolLM2 states that its rotation pairs halves, as all models in this layout do.
    "rope_interleaved": (False,),
    # `check_not_quantised` has refused the others.
    "compression_config": ({},),
    "quantization": ({},),
    "quantization_config": ({},),
    "tie_encoder_decoder": (False,),
    # Early Qwen2.5 files have this key of the vision models.
    "use_mrope": (False,),
}


def is_ignored(key: str, value: Any) -> bool:
    """Whether the key changes nothing: it is known for that, or it has no value."""
    return value is None or key in IGNORED or key.startswith(_IGNORED_PREFIXES)
