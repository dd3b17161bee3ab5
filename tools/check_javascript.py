"""Checks the types that our JavaScript declares in comments, with TypeScript's checker from npm.

Nothing is compiled, and users need no node: only whoever changes the JavaScript does. Without node
the check is left out, except in CI.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

WIDGETS = Path(__file__).resolve().parent.parent / "magics" / "opspawn_magics" / "widgets"

_CHECKER = "typescript@5"
_TRIES = 4
_PAUSE_SECONDS = 5
_OPTIONS = (
    *("--allowJs", "--checkJs", "--noEmit", "--strict", "--skipLibCheck"),
    *("--target", "es2022", "--lib", "es2022,dom,dom.iterable"),
    *("--module", "esnext", "--moduleResolution", "bundler"),
)
_GLOBALS = Path(__file__).resolve().with_name("widget_globals.d.ts")


def main() -> int:
    """Check every module; the exit status says whether all is well."""
    npx = shutil.which("npx")
    if npx is None:
        print("LEFT OUT: types of JavaScript: there is no npx; on Debian: apt install npm")
        return 1 if os.environ.get("CI") else 0
    _fetch(npx)
    modules = [path.name for path in sorted(WIDGETS.glob("*.js"))]
    command = [npx, "--yes", "--package", _CHECKER, "tsc", *_OPTIONS, str(_GLOBALS), *modules]
    status = subprocess.run(command, cwd=WIDGETS, check=False).returncode
    print(f"types of JavaScript: {len(modules)} modules, {'faults' if status else 'all is well'}")
    return status


def _fetch(npx: str) -> None:
    """Get the checker into npm's cache; a registry that does not answer at once is asked again."""
    command = [npx, "--yes", "--package", _CHECKER, "tsc", "--version"]
    for _ in range(_TRIES):
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
