"""What robfig/cron v3.0.1 itself answered, recorded: random schedules, most of them near a change of the clocks.

Each line of robfig.json: text, time zone, after (seconds since 1970), the next slots (up to 4) or the complaint. All
moments lie in the past, where zones do not change any more. Recorded with Go 1.26 and tzdata 2026f.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from syncd.base.errors import Invalid
from syncd.cron import schedule

CASES = json.loads((Path(__file__).parent / "robfig.json").read_text())


def answer(text: str, timezone: str, after: int) -> list[int] | str:
    try:
        line = schedule.parse(text, timezone)
    except Invalid as refused:
        return str(refused)
    found: list[int] = []
    slot = line.next(datetime.fromtimestamp(after, UTC))
    while slot is not None and len(found) < 4:
        found.append(int(slot.timestamp()))
        slot = line.next(slot)
    return found


def test_answers_as_robfig() -> None:
    different = [(case, mine) for case in CASES if (mine := answer(*case[:3])) != case[3]]
    assert different == []
    assert len(CASES) > 300
