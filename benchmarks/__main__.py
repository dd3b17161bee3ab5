"""``python -m benchmarks [ROW …] [--short] [--list]``: what ``make bench`` runs."""

from __future__ import annotations

import argparse
import traceback
from pathlib import Path

from benchmarks import table
from benchmarks.measure import Measured, Size, measure
from benchmarks.rows import ROWS


def main() -> int:
    """Measure the rows that were asked for, or all; 1 where one could not be measured."""
    given = _arguments()
    if given.list:
        print("\n".join(f"{row.name:<16} {row.what}" for row in ROWS.values()))
        return 0
    results: list[Measured] = []
    failures: dict[str, str] = {}
    for name in given.rows or ROWS:
        try:
            results.append(measure(ROWS[name], Size(is_short=given.short)))
        except Exception as failure:  # the other rows are still worth having
            failures[name] = f"{type(failure).__name__}: {failure}"
            traceback.print_exc()
        else:
            print("\n".join(table.lines(results[-1])), flush=True)
        table.save(results, failures, given.out)
    print(f"saved in {given.out}")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="all where none is given")
    parser.add_argument("--short", action="store_true", help="only show that it works")
    parser.add_argument("--list", action="store_true", help="say which rows there are")
    parser.add_argument("--out", type=Path, default=Path(".bench/results.json"))
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
