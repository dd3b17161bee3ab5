"""Tree heads of the history, left with others: whoever owns a machine can make its history anew,
but not what somebody else has kept of it.

Places are a file (a line is added), the address of a webhook (signed as those of tasks are), or
``git:DIRECTORY`` (a line in a file of that repository, committed, and pushed where the branch has
an upstream). Each place is told by itself; one that fails is tried again at the next round.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path

from opspawn_jupyter.audit.merkle import GrowingTree
from opspawn_jupyter.buses.hooks import Undelivered
from opspawn_jupyter.buses.webhook import post
from opspawn_jupyter.errors import SettingInvalid, Unavailable
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.tree_head import TreeHead
from opspawn_jupyter.ports import Store
from opspawn_jupyter.settings import Settings

logger = logging.getLogger(__name__)

#: Where a repository keeps the heads.
HEADS_NAME = "opspawn-tree-heads.jsonl"
_GIT = "git:"
_GIT_SECONDS = 60.0
_PAGE = 1_000


class Anchors:
    """Follows the history, and leaves its heads at the places that the settings name."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._tree = GrowingTree()
        self._lock = asyncio.Lock()
        #: Size of the tree that each place was told last.
        self._told: dict[str, int] = {}

    async def head(self) -> TreeHead:
        """The head of the history as it stands."""
        async with self._lock:
            while events := await self._store.events(after=self._tree.size, limit=_PAGE):
                for event in events:
                    self._tree.add(event.hash)
            return TreeHead(tree_size=self._tree.size, root_sha256=self._tree.root, at=clock.now())

    async def keep_anchoring(self) -> None:
        """Tell the places at once, and then from time to time; for ever."""
        while self._settings.anchors:
            try:
                await self.anchor()
            except Unavailable as problem:  # the next round may read the history
                logger.warning("tree head not anchored reason=%s", problem)
            await asyncio.sleep(self._settings.anchor_seconds)

    async def anchor(self) -> TreeHead:
        """The head, told to every place that does not know it."""
        head = await self.head()
        for place in self._settings.anchors:
            if self._told.get(place) != head.tree_size:
                await self._tell(place, head)
        return head

    async def _tell(self, place: str, head: TreeHead) -> None:
        try:
            await self._leave(place, head)
        except (OSError, subprocess.SubprocessError, Undelivered) as failure:
            logger.warning("tree head not anchored place=%s reason=%s", _said(place), failure)
            return
        self._told[place] = head.tree_size
        logger.info("tree head anchored place=%s tree_size=%d", _said(place), head.tree_size)

    async def _leave(self, place: str, head: TreeHead) -> None:
        line = wire.to_json(head)
        if place.startswith(_GIT):
            await asyncio.to_thread(_commit, self._path(place), line, head)
        elif "://" in place:
            await post(place, line.encode(), "history.tree_head", self._settings.webhook_secret)
        else:
            await asyncio.to_thread(_append, self._path(place), line)

    def _path(self, place: str) -> Path:
        return _path(place, self._settings.root_directory)


def require_places(places: Sequence[str], root: Path) -> None:
    """Raises ``SettingInvalid`` for a place that can be none."""
    for place in places:
        scheme = place.partition("://")[0] if "://" in place else ""
        if scheme not in ("", "http", "https"):
            hint = "anchors are files, http(s) addresses, or git:DIRECTORY"
            raise SettingInvalid(place, hint=hint)
        if place.startswith(_GIT) and not (_path(place, root) / ".git").exists():
            raise SettingInvalid(place, hint="there is no git repository in this directory")


def _path(place: str, root: Path) -> Path:
    return root / Path(place.removeprefix(_GIT)).expanduser()


def _said(place: str) -> str:
    """The place without what may be secret in an address."""
    return place.partition("?")[0].rpartition("@")[2] if "://" in place else place


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def _commit(directory: Path, line: str, head: TreeHead) -> None:
    _append(directory / HEADS_NAME, line)
    _git(directory, "add", "--", HEADS_NAME)
    message = f"Note the tree head of {head.tree_size} events"
    _git(directory, "commit", "--quiet", "--message", message, "--only", "--", HEADS_NAME)
    if _git(directory, "rev-parse", "--abbrev-ref", "@{upstream}", is_asking=True):
        _git(directory, "push", "--quiet")


def _git(directory: Path, *words: str, is_asking: bool = False) -> bool:
    """Whether it succeeded. Raises ``CalledProcessError`` where it had to."""
    command = ["git", "-C", str(directory), *words]
    done = subprocess.run(
        command,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=_GIT_SECONDS,
        check=not is_asking,
    )
    return done.returncode == 0
