"""Another user of the machine with a shell, without a key."""

from __future__ import annotations

import os
from collections.abc import Callable

from tests.cli import test_other_user as other_user
from tests.redteam.attack import Attack, NotRun
from tests.redteam.box import AttackedBox


def listeners(box: AttackedBox) -> str:
    """The gateway's addresses are the only ones, on TCP."""
    other_user.test_exactly_the_gateway_listens_on_tcp_and_exactly_where_it_says(box)
    return "the gateway alone, on 4 addresses"


def secrets(box: AttackedBox) -> str:
    """`ps` shows none."""
    for client in (box.victim, box.attacker):
        other_user.test_no_command_line_holds_a_secret(box, client.key)
    return "no command line has a key, or 32 hexadecimal digits"


def _as_another(attempt: Callable[[AttackedBox], None], held: str) -> Callable[[AttackedBox], str]:
    def run(box: AttackedBox) -> str:
        if os.geteuid() != 0:
            raise NotRun("only root can become another user")
        attempt(box)
        return held

    return run


ATTACKS = (
    Attack("listeners on TCP", "R4 R5", listeners),
    Attack("secrets in command lines", "R4", secrets),
    Attack(
        "sockets, as another user",
        "R4 R5",
        _as_another(other_user.test_no_socket_of_the_box_can_be_reached, "no socket of the box can be connected to"),
    ),
    Attack(
        "shared memory, as another user",
        "R5",
        _as_another(other_user.test_prompts_in_shared_memory_cannot_be_opened, "no file in /dev/shm can be opened"),
    ),
    Attack(
        "logs, keys and environments, as another user",
        "R4 R5",
        _as_another(other_user.test_logs_keys_and_environments_cannot_be_read, "none can be opened"),
    ),
)
