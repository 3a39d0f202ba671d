"""`python -m appliance.chat_template.worker FD`: compiles one template, then renders conversations until FD is closed.

Templates run only in this program. An answer is one letter and a text, so no template can make the caller run code.
"""

from __future__ import annotations

import json
import pickle
import socket
import sys

from appliance.chat_template import budget, frames
from appliance.chat_template.frames import DONE, REFUSED, TOO_LARGE
from appliance.chat_template.template import ChatTemplate
from appliance.errors import RequestError, UnsupportedError


def main(descriptor: int) -> None:
    """Serve the socket."""
    budget.bind_memory()
    # Use no terminal and no log: a template's errors are sent to the caller.
    with socket.socket(fileno=descriptor) as connection:
        template = None
        # Pickle is safe here: only the gateway sends messages.
        while (message := frames.receive(connection)) is not None:
            asked = pickle.loads(message)  # noqa: S301
            budget.begin()
            if template is None:
                template, answer = _compiled(asked)
            else:
                answer = _rendered(template, asked)
            budget.end()
            frames.send(connection, answer)


def _compiled(asked: dict[str, str]) -> tuple[ChatTemplate | None, bytes]:
    try:
        template = ChatTemplate(**asked)
    except UnsupportedError as error:
        return None, REFUSED + str(error).encode(errors="replace")
    except MemoryError:
        return None, TOO_LARGE
    return template, DONE + json.dumps(sorted(template.variables)).encode()


def _rendered(template: ChatTemplate, asked: dict[str, object]) -> bytes:
    most = asked.pop("max_characters")
    try:
        text = template.render(**asked)  # type: ignore[arg-type]
    except RequestError as error:
        return REFUSED + str(error).encode(errors="replace")
    except MemoryError:
        return TOO_LARGE
    try:
        return DONE + text.encode() if len(text) <= most else TOO_LARGE + str(len(text)).encode()  # type: ignore[operator]
    except UnicodeEncodeError:
        return REFUSED + b"the model's chat template wrote half a surrogate pair"


if __name__ == "__main__":
    main(int(sys.argv[1]))
