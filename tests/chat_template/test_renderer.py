"""A template runs in a process of its own: whatever it costs ends with one clear error, and the next one is served."""

from __future__ import annotations

import asyncio

import pytest

from appliance.chat_template.renderer import Renderer
from appliance.errors import PromptTooLongError, RequestError, UnsupportedError

USER = [{"role": "user", "content": "hi"}]
FOR_A = "{% if messages[0].content == 'hi' %}"
BOMBS = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "multiplied text": "{{ messages[0].content * 10 ** 10 }}",
    "multiplied list": "{{ ([messages] * 10 ** 10) | length }}",
    "doubled text": "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "a wide format": "{{ '%10000000000d' % messages | length }}",
    "a wide method": "{{ messages[0].content.ljust(10 ** 10) }}",
    "a wide format method": "{{ '{:>10000000000}'.format(messages | length) }}",
    "joined": "{% set a = messages[0].content * 10 ** 7 %}{{ [a] * 10 ** 4 | join }}",
    "a macro without end": "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(messages) }}",
    "a tree of macros": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}"
    "{{ f(40 * messages | length) }}",
    "a large power": "{{ (messages | length + 2) ** (10 ** 9) }}",
    "many words": "{{ lipsum(n=messages | length * 10 ** 7) }}",
}


def rendered(renderer: Renderer, content: str = "hi", most: int = 1000) -> str:
    return asyncio.run(renderer.render([{"role": "user", "content": content}], max_characters=most))


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_and_the_next_conversation_is_served(name: str):
    renderer = Renderer(f"{FOR_A}{BOMBS[name]}{{% else %}}fine{{% endif %}}", bos_token="", eos_token="")
    with pytest.raises(RequestError) as caught:
        rendered(renderer)
    assert caught.value.param == "messages"
    assert rendered(renderer, "other") == "fine"
    renderer.close()


@pytest.mark.parametrize("source", ["{{ 'a' * 10 ** 10 }}", "{% if 'a' * 10 ** 10 %}{% endif %}"])
def test_a_bomb_in_the_compiler_is_refused_too(source: str):
    try:
        renderer = Renderer(source, bos_token="", eos_token="")
    except UnsupportedError:
        return
    with pytest.raises(RequestError):
        rendered(renderer)
    renderer.close()


def test_a_text_that_is_too_long_is_counted_and_does_not_come_back():
    renderer = Renderer("{{ 'ab' * 600 }}", bos_token="", eos_token="")
    with pytest.raises(PromptTooLongError, match="1200"):
        rendered(renderer)
    assert len(rendered(renderer, most=1200)) == 1200
    renderer.close()


def test_conversations_at_once_are_not_mixed_up():
    renderer = Renderer("{{ messages[0].content }}", bos_token="", eos_token="")

    async def crowd() -> list[str]:
        asked = (renderer.render([{"role": "user", "content": str(n)}], max_characters=9) for n in range(50))
        return list(await asyncio.gather(*asked))

    assert asyncio.run(crowd()) == [str(n) for n in range(50)]
    renderer.close()


def test_a_client_that_leaves_takes_no_other_ones_text():
    slow = "{% if messages[0].content == 'first' %}{% for a in range(99999) %}{{ a }}{% endfor %}{% endif %}"
    renderer = Renderer(f"{slow}{{{{ messages[0].content }}}}", bos_token="", eos_token="")

    async def leave() -> None:
        asked = asyncio.create_task(renderer.render([{"role": "user", "content": "first"}], max_characters=9))
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    asyncio.run(leave())
    assert rendered(renderer, "second") == "second"
    renderer.close()


def test_a_process_that_was_ended_from_outside_is_replaced():
    renderer = Renderer("{{ messages[0].content }}", bos_token="", eos_token="")
    worker = renderer._idle[0]._process
    worker.kill()
    worker.wait()
    assert rendered(renderer) == "hi"
    worker = renderer._idle[0]._process
    renderer.close()
    assert worker.returncode is not None
