"""Copies the data files of setup.cfg into the running environment, as a wheel's installation does.

An installation in place leaves them out. They enable the server extension and are the JupyterLab
extension.
"""

from __future__ import annotations

import configparser
import shutil
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> None:
    """Copy every data file, and take away what an earlier version left beside them."""
    setup = configparser.ConfigParser()
    setup.optionxform = str  # type: ignore[method-assign,assignment] # folders keep their case
    setup.read(REPOSITORY / "setup.cfg")
    for folder, patterns in setup["options.data_files"].items():
        copy(Path(sys.prefix, folder), patterns.split())


def copy(folder: Path, patterns: list[str]) -> None:
    """The files of these patterns into the folder. Only a folder of our own is emptied first."""
    if "opspawn-jupyter" in folder.parts:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in patterns:
        for file in sorted(REPOSITORY.glob(pattern)):
            shutil.copy(file, folder)


if __name__ == "__main__":
    main()
