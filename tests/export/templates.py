"""Chat templates of the forms that published models have, written for these tests."""

from __future__ import annotations

# Qwen3's: tools in a system turn, calls as JSON in marks, thoughts kept after the last question, a switch for thinking.
QWEN3 = """\
{%- if tools %}
    {{- '<|im_start|>system\\n# Tools\\n\\nFunctions within <tools></tools> tags:\\n<tools>' }}
    {%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}
    {{- '\\n</tools>\\n\\nAnswer with <tool_call>\\n{"name": <function-name>, "arguments": <args-json-object>}\\n' }}
    {{- '</tool_call><|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(last=messages|length - 1) %}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- set thoughts = '' %}
        {%- if message.reasoning_content is defined %}{%- set thoughts = message.reasoning_content %}{%- endif %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if loop.index0 == ns.last and thoughts %}{{- '<think>\\n' + thoughts + '\\n</think>\\n\\n' }}{%- endif %}
        {{- message.content }}
        {%- for tool_call in message.tool_calls or [] %}
            {%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '<tool_call>\\n{"name": "' + tool_call.name + '", "arguments": ' }}
            {%- if tool_call.arguments is string %}{{- tool_call.arguments }}
            {%- else %}{{- tool_call.arguments | tojson }}{%- endif %}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}
"""
# Qwen3-Coder's: a function and its parameters in marks of their own; it does not think.
CODER = """\
{%- if tools %}
    {{- '<|im_start|>system\\n<tools>' }}
    {%- for tool in tools %}{{- '\\n<function>\\n<name>' ~ tool.function.name ~ '</name>\\n</function>' }}{%- endfor %}
    {{- '\\n</tools>\\nCall so: <tool_call>\\n<function=example>\\n</function>\\n</tool_call><|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' ~ message.role ~ '\\n' ~ message.content }}
    {%- for tool_call in message.tool_calls or [] %}
        {{- '\\n<tool_call>\\n<function=' + tool_call.function.name + '>\\n' }}
        {%- for name, value in tool_call.function.arguments | items %}
            {{- '<parameter=' + name + '>\\n' ~ value ~ '\\n</parameter>\\n' }}
        {%- endfor %}
        {{- '</function>\\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""
# A model that always thinks: its template opens the mark, and takes thoughts out of earlier answers.
ALWAYS_THINKING = """\
{%- for message in messages %}
    {%- set content = message.content %}
    {%- if message.role == 'assistant' and '</think>' in content %}
        {%- set content = content.split('</think>')[-1] %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}
"""
# The form of DeepSeek's distilled models: the first token is in the template, and the answer begins within thoughts.
DISTILLED = """\
{%- if not add_generation_prompt is defined %}{%- set add_generation_prompt = false %}{%- endif %}
{{- bos_token }}
{%- for message in messages %}
    {%- if message['role'] == 'user' %}{{- '<\uff5cUser\uff5c>' + message['content'] }}{%- endif %}
    {%- if message['role'] == 'assistant' and message['content'] is not none %}
        {%- set content = message['content'] %}
        {%- if '</think>' in content %}{%- set content = content.split('</think>')[-1] %}{%- endif %}
        {{- '<\uff5cAssistant\uff5c>' + content + eos_token }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<\uff5cAssistant\uff5c><think>\\n' }}{%- endif %}
"""
# Another family's calls, which this program has no parser for.
OTHER_CALLS = """\
{%- if tools %}{{- '[AVAILABLE_TOOLS]' ~ (tools | tojson) }}{%- endif %}
{%- for message in messages %}
    {{- message.role ~ ': ' ~ message.content }}
    {%- for call in message.tool_calls or [] %}{{- '[TOOL_CALLS]' ~ (call.function | tojson) }}{%- endfor %}
{%- endfor %}
"""
