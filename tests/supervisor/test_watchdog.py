import asyncio

from appliance.supervisor.watchdog import Watchdog


def _asked_until_told(answers: list[bool]) -> int:
    asked = 0

    async def is_alive() -> bool:
        nonlocal asked
        asked += 1
        return answers[asked - 1] if asked <= len(answers) else False

    reason = asyncio.run(Watchdog(is_alive, period_s=0).wait())
    assert "did not answer" in reason
    return asked


def test_several_missed_answers_in_a_row_are_a_hang():
    assert _asked_until_told([]) == 3


def test_an_answer_in_between_starts_the_count_again():
    assert _asked_until_told([False, False, True, False, True]) == 8
