"""The documentation says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import generate
import pytest

from opspawn_jupyter.model.states import CellState, EventType, State

REPOSITORY = Path(__file__).parent.parent.parent
PAGES = [*generate.pages(), REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md"]
_LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@pytest.mark.parametrize("page", generate.pages(), ids=lambda page: page.stem)
def test_generated_parts_are_what_the_code_says_now(page: Path) -> None:
    """Tables that drift from the code mislead; `make docs` writes them again."""
    text = page.read_text()

    assert generate.regenerate(text) == text, "run `make docs`"


def test_every_generated_part_is_on_some_page() -> None:
    """A part that no page shows is a reference that nobody can read."""
    shown = "\n".join(page.read_text() for page in generate.pages())

    assert all(f"<!-- begin {name} -->" in shown for name in generate.PARTS)


def test_every_event_type_is_described() -> None:
    """A new event type cannot be forgotten in the reference."""
    assert set(generate.EVENT_DATA) == set(EventType)


@pytest.mark.parametrize("state", [*State, *CellState])
def test_every_state_is_explained(state: State | CellState) -> None:
    """Each word that a user sees as a state stands on the page about states."""
    assert f"`{state}`" in (generate.DOCS / "explanation" / "states.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """A link to a file that was moved is found here, not by a reader."""
    targets = _LINK.findall(page.read_text())

    missing = [target for target in targets if not (page.parent / target).exists()]

    assert missing == []
