"""The forms of published chat templates, each as short as it can be, and the control tokens that they write."""

from __future__ import annotations

from tests.gateway.chat.forms.form import Form

_EACH = "{%- for message in messages %}"
_END = "{%- endfor %}"
_CHATML = ("<|im_start|>", "<|im_end|>")
CHATML = Form(
    _EACH
    + "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    + _END
    + "{{- '<|im_start|>assistant\\n' }}",
    _CHATML,
)
TRIMMED = Form(CHATML.template.replace("message.content", "message.content|trim"), _CHATML)
LLAMA = Form(
    "{{- bos_token }}"
    + _EACH
    + "{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content|trim + '<|eot_id|>' }}"
    + _END
    + "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}",
    ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<bos>"),
)
# The system's content stands directly before the user's.
MISTRAL = Form(
    "{%- set ns = namespace(system='') %}{{- bos_token }}"
    + _EACH
    + "{%- if message.role == 'system' %}{%- set ns.system = message.content %}"
    "{%- elif message.role == 'user' or message.role == 'tool' %}"
    "{{- '[INST]' + ns.system + message.content + '[/INST]' }}"
    "{%- else %}{{- message.content + '</s>' }}{%- endif %}" + _END,
    ("[INST]", "[/INST]", "</s>", "<bos>"),
)
GEMMA = Form(
    "{{- bos_token }}"
    + _EACH
    + "{{- '<start_of_turn>' + ('model' if message.role == 'assistant' else 'user') + '\\n' + message.content | trim"
    " + '<end_of_turn>\\n' }}" + _END + "{{- '<start_of_turn>model\\n' }}",
    ("<start_of_turn>", "<end_of_turn>", "<bos>"),
    ("\n\n", "<table>"),
)
# The role is a part of the control text.
PHI = Form(
    _EACH
    + "{{- '<|' + message.role + '|>\\n' + message.content + '<|end|>\\n' }}"
    + _END
    + "{{- '<|assistant|>\\n' }}",
    ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"),
)
DEEPSEEK = Form(
    "{{- bos_token }}" + _EACH + "{%- if message.role == 'user' %}{{- '<\uff5cUser\uff5c>' + message.content }}"
    "{%- elif message.role == 'assistant' %}"
    "{%- set content = message.content %}"
    "{%- if '</think>' in content %}{%- set content = content.split('</think>')[-1] %}{%- endif %}"
    "{{- '<\uff5cAssistant\uff5c>' + content + '<\uff5cend\u2581of\u2581sentence\uff5c>' }}"
    "{%- else %}{{- message.content }}{%- endif %}" + _END + "{{- '<\uff5cAssistant\uff5c><think>\\n' }}",
    ("<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "<bos>"),
    ("<think>", "</think>"),
)
HERMES = Form(
    "{%- if tools %}{{- '<|im_start|>system\\n<tools>' }}"
    "{%- for tool in tools %}{{- '\\n' + tool|tojson }}{%- endfor %}"
    "{{- '</tools> Call as <tool_call>{}</tool_call><|im_end|>\\n' }}{%- endif %}"
    + _EACH
    + "{%- if message.role == 'tool' %}"
    "{{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}"
    "{%- else %}{{- '<|im_start|>' + message.role + '\\n' + message.content }}"
    "{%- for call in message.tool_calls or [] %}"
    '{{- \'<tool_call>\\n{"name": "\' + call.function.name + \'", "arguments": \' + call.function.arguments|tojson'
    " + '}\\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\\n' }}{%- endif %}"
    + _END
    + "{{- '<|im_start|>assistant\\n' }}",
    _CHATML,
    ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"),
)
ASCII_JSON = Form(HERMES.template.replace("tojson", "tojson(ensure_ascii=true)"), HERMES.special, HERMES.marks)
SHOUTED = Form(CHATML.template.replace("message.content", "message.content|upper"), _CHATML)

FAMILIES = {
    "chatml": CHATML,
    "chatml, trimmed": TRIMMED,
    "llama 3": LLAMA,
    "mistral": MISTRAL,
    "gemma": GEMMA,
    "phi": PHI,
    "deepseek": DEEPSEEK,
    "hermes": HERMES,
    "JSON in ASCII": ASCII_JSON,
    "shouted": SHOUTED,
}
