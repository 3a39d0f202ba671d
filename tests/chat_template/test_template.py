"""Chat templates: the environment publishers write for, the sandbox, and what a template may refuse."""

from __future__ import annotations

import pytest

from appliance.chat_template.template import ChatTemplate
from appliance.errors import RequestError, UnsupportedError
from tests.refusals import refused

USER = [{"role": "user", "content": "hi"}]


def render(source, messages=USER):
    return ChatTemplate(source, bos_token="<s>", eos_token="</s>").render(messages)


def test_blocks_leave_no_blank_lines_and_special_tokens_are_known():
    loop = "{% for m in messages %}\n    {% if m.role == 'user' %}\nU:{{ m.content }}\n    {% endif %}\n{% endfor %}"
    source = "{{ bos_token }}\n" + loop
    assert render(source) == "<s>\nU:hi\n"


def test_json_is_written_without_html_escapes():
    assert render("{{ messages[0] | tojson }}", [{"content": "<ä'&>"}]) == '{"content": "<ä\'&>"}'
    assert render("{{ {'b': 1, 'a': 2} | tojson(indent=1, sort_keys=true) }}") == '{\n "a": 2,\n "b": 1\n}'


def test_loop_controls_and_the_date_are_there():
    assert render("{% for m in [1, 2, 3] %}{% if m == 2 %}{% break %}{% endif %}{{ m }}{% endfor %}") == "1"
    assert render("{{ strftime_now('%Y') | length }}") == "4"


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('only once') }}",
        "{{ messages[0].content + 5 }}",
        "{{ messages[7].content.x.y }}",
        "{{ messages[0].__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ ''.__class__ }}{{ self.__init__.__globals__.os }}",
        "{{ 1 / 0 }}",
        "{{ messages[0].x + 1e400 }}{{ 1e400 }}",
    ],
)
def test_what_the_template_or_the_sandbox_refuses_is_the_clients_error(source):
    with pytest.raises(RequestError) as caught:
        render(source)
    assert caught.value.param == "messages"


def test_a_templates_own_words_reach_the_client():
    with refused(RequestError, "once"):
        render("{{ raise_exception('only once') }}")


def test_a_template_that_does_not_compile_is_unsupported():
    with pytest.raises(UnsupportedError):
        render("{% novelty %}x{% endnovelty %}")


def test_marks_of_what_is_trained_on_change_no_text():
    loop = (
        "{% for m in messages %}{% generation %}\n{{ m.content }}{% set a = 2 %}{{ a }}{% endgeneration %}{% endfor %}"
    )
    assert render("{% set a = 1 %}" + loop + "{{ a }}") == "hi21"
