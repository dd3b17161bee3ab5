"""Schedules, shown in a notebook."""

from __future__ import annotations

from opspawn_jupyter.client import html
from opspawn_jupyter.client.render import as_text
from opspawn_jupyter.client.schedule_text import (
    FIRING_HEADINGS,
    SCHEDULE_HEADINGS,
    firing_row,
    schedule_row,
)
from opspawn_jupyter.model.schedule import Schedule
from opspawn_jupyter.model.schedule_view import DueAnswer, FiringList, ScheduleList, ScheduleView

Shown = ScheduleView | ScheduleList | FiringList | DueAnswer | Schedule


class ScheduleShown:
    """What a verb of ``%opspawn schedule`` gave: lists as tables, the rest as text."""

    def __init__(self, record: Shown) -> None:
        self.record = record

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        bundle = {"text/plain": as_text(self.record)}
        if isinstance(self.record, ScheduleList) and self.record.schedules:
            rows = [schedule_row(view) for view in self.record.schedules]
            bundle["text/html"] = html.text_table(SCHEDULE_HEADINGS, rows)
        elif isinstance(self.record, FiringList) and self.record.firings:
            rows = [firing_row(firing) for firing in self.record.firings]
            bundle["text/html"] = html.text_table(FIRING_HEADINGS, rows)
        return bundle
