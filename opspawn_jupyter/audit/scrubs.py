"""What differs from run to run without meaning anything: replaced by its name, and listed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scrub:
    """Whatever matches is replaced by ``<name>``."""

    name: str
    pattern: re.Pattern[str]

    def apply(self, text: str) -> tuple[str, int]:
        """The text without it, and how often it occurred."""
        return self.pattern.subn(f"<{self.name}>", text)


def scrub(name: str, pattern: str, flags: int = 0) -> Scrub:
    """A scrub of this regular expression. Raises ``re.error``."""
    return Scrub(name, re.compile(pattern, flags))


_SECONDS = r"(?:ns|[µμu]s|ms|s|secs?|seconds?|min|minutes?)"

#: In order: what is specific goes first. None may begin at every place of a line and look to its
#: end: a chart's data is a line of megabytes.
BUILT_IN: tuple[Scrub, ...] = (
    scrub("address", r"\b0x[0-9a-fA-F]{6,16}\b"),
    scrub(
        "uuid",
        r"\b[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\b",
        re.IGNORECASE,
    ),
    scrub("cell file", r"(?<![^\s\"'(<>=,])[^\s\"'(<>=,]*ipykernel_\d+[/\\]\d+\.py(?::\d+)?"),
    scrub(
        "input number",
        r"<ipython-input-\d+-[0-9a-f]+>|(?:Cell |Input )?In ?\[ ?\d+\](?:, line \d+)?",
    ),
    scrub("wall time", r"(?:CPU times|Wall time|Compiler *(?:time)?|Parser *):[^\n]*"),
    scrub(
        "wall time",
        r"^(?:The slowest run took[^\n]*\n?)?(?:This could mean[^\n]*\n?)?[^\n]*\bper loop\b[^\n]*",
        re.MULTILINE,
    ),
    scrub(
        "timing",
        rf"\b\d+(?:\.\d+)?(?:e[+-]?\d+)? ?{_SECONDS}\b(?: ± [^(\n]*\([^)\n]*\))?",
    ),
    scrub(
        "date and time",
        r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?",
    ),
    scrub("weekday date", r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4}\b"),
    # A progress bar is as wide as the words beside it leave it; how far it came is kept.
    scrub("progress", r"\|[█▉▊▋▌▍▎▏ #\d]{0,300}\|(?= ?\d[\w.]*/\d)"),
    scrub("progress", r"\[\d\d:\d\d(?::\d\d)?<[^\]\n]{0,80}\]"),
    scrub("clock", r"\b\d\d?:\d\d:\d\d(?:\.\d+)?\b"),
    scrub("temporary file", r"/(?:tmp|var/folders)/[\w.+@/-]+"),
    scrub(
        "path",
        r"/(?:home|Users|root|opt|usr|mnt|srv|work)/[\w.+@/-]+|\b[A-Z]:\\[\w\\. -]+",
    ),
    scrub("process id", r"\bpid[ =:]+\d+", re.IGNORECASE),
    scrub("progress rate", r"\b\d+(?:\.\d+)? ?(?:it|MB|kB|B|iB|MiB|KiB|batch)/s\b|s/it\b"),
)

_SAYS_SOMETHING = re.compile(r"\w")


def scrubbed(text: str, scrubs: Sequence[Scrub]) -> tuple[str, dict[str, int]]:
    """The text without what is volatile, and how often each scrub was needed."""
    counts: dict[str, int] = {}
    for one in scrubs:
        text, count = one.apply(text)
        if count:
            counts[one.name] = count
    return text, counts


def is_wholly_scrubbed(text: str, counts: dict[str, int]) -> bool:
    """Whether nothing is left that could have been compared."""
    for name in counts:
        text = text.replace(f"<{name}>", "")
    return bool(counts) and not _SAYS_SOMETHING.search(text)
