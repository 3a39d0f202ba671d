"""What templates do with content: each form has some constructs of published templates, in our own lines."""

from __future__ import annotations

from tests.gateway.chat.forms.form import Form

_CHATML = ("<|im_start|>", "<|im_end|>")
_CALLS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")


def _turns(content: str, before: str = "", after: str = "") -> str:
    return (
        before
        + "{%- for message in messages %}{{- '<|im_start|>' ~ message.role ~ '\\n' }}"
        + content
        + "{%- for call in message.tool_calls or [] %}"
        + after
        + "{%- endfor %}{{- '<|im_end|>\\n' }}{%- endfor %}{{- '<|im_start|>assistant\\n' }}"
    )


CONSTRUCTS = {
    # Macros; names between brackets; arguments and schemas as items; JSON of what is not a text.
    "names between brackets": Form(
        _turns(
            "{{- message.content }}",
            "{%- macro extra(schema) %}{%- for key, one in schema | items %}"
            "{{- '<' ~ key ~ '>' ~ (one if one is string else one | tojson) ~ '</' ~ key ~ '>' }}"
            "{%- endfor %}{%- endmacro %}"
            "{%- for tool in tools or [] %}{{- extra(tool.function.parameters) }}"
            "{{- extra(tool.function.parameters.properties) }}{%- endfor %}",
            "{{- '<tool_call><' ~ call.function.name ~ '>' }}{%- for key, one in call.function.arguments.items() %}"
            "{{- '<' ~ key ~ '>' ~ one | string ~ '</' ~ key ~ '>' }}{%- endfor %}{{- '</tool_call>' }}",
        ),
        _CHATML,
        ("<tool_call>", "</tool_call>"),
    ),
    # Switches that the template reads in a content and removes from it; a namespace; a loop from the end.
    "switches": Form(
        _turns(
            "{{- message.content.replace('/no_think', '') | replace('/think', '') | trim }}",
            "{%- set ns = namespace(thinks=true) %}{%- for message in messages[::-1] %}"
            "{%- if '/no_think' in message.content %}{%- set ns.thinks = false %}{%- endif %}"
            "{%- endfor %}",
        ),
        _CHATML,
    ),
    # Cutting and joining, which removes what was between the parts; slices; formats.
    "cut and joined": Form(
        _turns(
            "{{- '%s' | format(message.content.split('\\n') | join('')) }}"
            "{{- message.content[:3] ~ '|' ~ message.content[3:] }}"
        ),
        _CHATML,
    ),
    # Lists and objects as Python writes them.
    "Python's own text": Form(
        _turns(
            "{{- message.content }}",
            "{%- for tool in tools or [] %}{{- tool.function.parameters }}{%- endfor %}",
            "{{- '[' ~ call.function.name ~ '(' ~ call.function.arguments.values() | list ~ ')]' }}",
        ),
        _CHATML,
    ),
    # All tools as one JSON list with spaces; the system's message apart; calls as a list; a refusal.
    "lists in brackets": Form(
        "{{- bos_token }}{%- if messages[0].role == 'system' %}{%- set system = messages[0].content %}"
        "{%- set rest = messages[1:] %}{%- else %}{%- set rest = messages %}{%- endif %}"
        "{%- if tools %}{{- '[TOOLS]' ~ tools | tojson(indent=1) ~ '[/TOOLS]' }}{%- endif %}"
        "{%- for message in rest %}{%- if message.role == 'user' %}"
        "{{- '[INST]' }}{%- if loop.last and system is defined %}{{- system ~ '\\n\\n' }}{%- endif %}"
        "{{- message.content ~ '[/INST]' }}{%- elif message.role == 'tool' %}"
        "{{- '[RESULT]' ~ {'content': message.content, 'id': message.tool_call_id} | tojson ~ '[/RESULT]' }}"
        "{%- elif message.role == 'assistant' %}{{- message.content }}{%- if message.tool_calls %}"
        "{{- '[CALLS]' ~ message.tool_calls | map(attribute='function') | list | tojson }}{%- endif %}{{- eos_token }}"
        "{%- else %}{{- raise_exception('the role ' ~ message.role) }}{%- endif %}{%- endfor %}",
        ("[TOOLS]", "[/TOOLS]", "[INST]", "[/INST]", "[RESULT]", "[/RESULT]", "[CALLS]", "</s>", "<bos>"),
    ),
    # Parts or a text; a recursive macro with sorted names, types in capitals, quotes that are control tokens.
    "quotes as tokens": Form(
        "{%- macro written(value) %}{%- if value is string %}{{- '<|\"|>' ~ value | replace(\"'\", '\"') ~ '<|\"|>' }}"
        "{%- elif value is mapping %}{{- '{' }}{%- for key, one in value | dictsort %}"
        "{{- key ~ ':' ~ (one | upper if key == 'type' else written(one)) ~ ',' }}{%- endfor %}{{- '}' }}"
        "{%- elif value is sequence %}{{- '[' }}{%- for one in value %}{{- written(one) }}{%- endfor %}{{- ']' }}"
        "{%- else %}{{- value }}{%- endif %}{%- endmacro %}{{- bos_token }}"
        "{%- for tool in tools or [] %}{{- '<|tool>' ~ written(tool.function) ~ '<tool|>' }}{%- endfor %}"
        "{%- for message in messages %}{{- '<|turn>' ~ message.role ~ '\\n' }}{%- if message.content is string %}"
        "{{- message.content.strip() }}{%- else %}{%- for part in message.content %}{{- part.text }}{%- endfor %}"
        "{%- endif %}{%- for call in message.tool_calls or [] %}{{- written(call.function.arguments) }}{%- endfor %}"
        "{{- '<turn|>\\n' }}{%- endfor %}{{- '<|turn>model\\n' }}",
        ("<|turn>", "<turn|>", "<|tool>", "<tool|>", '<|"|>', "<bos>"),
    ),
    # Thoughts of a field or of the content; comparison with control texts; results in one turn; the turn's neighbours.
    "thoughts and results": Form(
        "{%- set ns = namespace(last=0) %}{%- for message in messages %}"
        "{%- if message.role == 'user' and not (message.content.startswith('<tool_response>')"
        " and message.content.endswith('</tool_response>')) %}{%- set ns.last = loop.index0 %}{%- endif %}{%- endfor %}"
        "{%- for message in messages %}{%- if message.role == 'tool' %}"
        "{%- if loop.previtem is defined and loop.previtem.role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}"
        "{{- '\\n<tool_response>' ~ message.content ~ '</tool_response>' }}"
        "{%- if loop.last or loop.nextitem.role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}"
        "{%- else %}{%- set content = message.content %}{%- set thought = message.reasoning_content or '' %}"
        "{%- if message.role == 'assistant' and '</think>' in content %}"
        "{%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}"
        "{%- set content = content.rsplit('</think>', 1)[-1].lstrip('\\n') %}{%- endif %}"
        "{{- '<|im_start|>' ~ message.role ~ '\\n' }}{%- if thought and loop.index0 > ns.last %}"
        "{{- '<think>' ~ thought ~ '</think>' }}{%- endif %}{{- content }}"
        "{%- for call in message.tool_calls or [] %}{{- '<tool_call>' ~ call.function | tojson ~ '</tool_call>' }}"
        "{%- endfor %}{{- '<|im_end|>\\n' }}{%- endif %}{%- endfor %}{{- '<|im_start|>assistant\\n' }}",
        _CHATML,
        (*_CALLS, "<think>", "</think>"),
    ),
    # Control texts in variables; other names of roles; the date; text marked for training; a recipient in the header.
    "headers": Form(
        "{%- set open, close, end = '<|role|>', '<|channel|>', '<|message_end|>' %}"
        "{{- open ~ 'system' ~ close ~ strftime_now('%Y') ~ end }}"
        "{%- for message in messages %}{%- if message.role == 'assistant' %}{{- open ~ 'assistant' ~ close }}"
        "{%- generation %}{{- message.content ~ end }}{%- endgeneration %}"
        "{%- for call in message.tool_calls or [] %}"
        "{{- open ~ 'to=' ~ call.function.name ~ close ~ call.function.arguments | tojson ~ end }}{%- endfor %}"
        "{%- else %}{%- set role = {'tool': 'ipython', 'system': 'developer'}.get(message.role, message.role) %}"
        "{{- open ~ role ~ close ~ message.content ~ end }}{%- endif %}{%- endfor %}{{- open ~ 'assistant' }}",
        ("<|role|>", "<|channel|>", "<|message_end|>"),
    ),
    # Letters changed: small ones, and capitals of which the control texts are made.
    "small letters": Form(_turns("{{- message.content | lower }}"), _CHATML),
    "capitals": Form(
        "{%- for message in messages %}{{- '[INST]' ~ message.content.upper() ~ '[/INST]' }}{%- endfor %}",
        ("[INST]", "[/INST]"),
    ),
    # Nothing between the contents.
    "side by side": Form(
        "{{- '<|im_start|>' }}{%- for message in messages %}{{- message.content }}{%- endfor %}{{- '<|im_end|>' }}",
        _CHATML,
    ),
}
