"""Chat templates that cost without bound. The box serves one model, so they are rendered as its gateway does."""

from __future__ import annotations

from tests.chat_template import test_renderer
from tests.redteam.attack import Attack
from tests.redteam.box import AttackedBox


def bombs(_box: AttackedBox) -> str:
    """Each is refused, and the next conversation is served."""
    for name in test_renderer.BOMBS:
        test_renderer.test_a_bomb_is_refused_and_the_next_conversation_is_served(name)
    for source in ("{{ 'a' * 10 ** 10 }}", "{% if 'a' * 10 ** 10 %}{% endif %}"):
        test_renderer.test_a_bomb_in_the_compiler_is_refused_too(source)
    return f"{len(test_renderer.BOMBS)} templates ended, and the next conversation was served"


ATTACKS = (Attack("hostile chat templates", "R3", bombs),)
