"""Tools that a server would run: an error says what to offer instead, and Responses leaves some out and names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appliance.errors import RequestError
from appliance.gateway.anthropic.schema import CountBody, MessagesBody
from appliance.gateway.bodies.json_body import check
from appliance.gateway.bodies.strict import Strict
from appliance.gateway.openai.responses.schema import ResponseBody
from appliance.gateway.openai.responses.tool_schema import LEFT_OUT
from appliance.gateway.openai.schema import ChatBody

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tools.md"
HELLO = [{"role": "user", "content": "Hello"}]
CHAT = {"model": "a", "messages": HELLO}


@pytest.mark.parametrize(
    ("body", "asked", "tool", "own"),
    [
        (ChatBody, CHAT, {"type": "web_search"}, "function"),
        (ChatBody, CHAT, {"type": "web_search_preview", "search_context_size": "low"}, "function"),
        (ChatBody, CHAT, {"type": "builtin_function", "function": {"name": "$web_search"}}, "function"),
        (MessagesBody, {**CHAT, "max_tokens": 1}, {"type": "web_search_20250305", "name": "web_search"}, "custom"),
        (CountBody, CHAT, {"type": "bash_20250124", "name": "bash"}, "custom"),
        (ResponseBody, {"model": "a", "input": "a"}, {"type": "file_search", "vector_store_ids": ["a"]}, "function"),
        (ResponseBody, {"model": "a", "input": "a"}, {"type": "mcp", "server_label": "a"}, "function"),
    ],
)
def test_a_tool_that_the_box_would_have_to_run_is_refused_with_what_to_offer(
    body: type[Strict], asked: dict[str, Any], tool: dict[str, Any], own: str
):
    with pytest.raises(RequestError) as caught:
        check(body, {**asked, "tools": [tool]}, unknown="ignore")
    assert caught.value.param == "tools[0]"
    assert "offer a tool of your application" in caught.value.message
    assert own in caught.value.message


def test_the_page_has_every_tool_that_is_left_out():
    text = PAGE.read_text(encoding="utf-8")
    assert [tool for tool in LEFT_OUT if f"`{tool}`" not in text] == []
