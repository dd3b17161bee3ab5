"""``csv_ingest``: a CSV file as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from opspawn_jupyter.plugins.configuration import StrictConfig


class CsvIngest:
    """Read a CSV file; the steps after this one get it as a table. Needs pandas."""

    outputs = ("rows", "columns", "dataframe")

    class Config(StrictConfig):
        """``path`` starts from the step's working directory; compressed files are unpacked."""

        path: str = Field(min_length=1)
        delimiter: str = Field(default=",", min_length=1)
        encoding: str = "utf-8"
        #: Only these columns, in this order; all of them where it is left out.
        columns: list[str] | None = None

    def run(self, config: Config, context: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """``rows`` (how many), ``columns`` (their names) and ``dataframe`` (the table)."""
        import pandas as pd  # an extra, and heavy: only the step's kernel needs it

        frame = pd.read_csv(
            config.path, sep=config.delimiter, encoding=config.encoding, usecols=config.columns
        )
        if config.columns is not None:
            frame = frame[config.columns]
        names = [str(name) for name in frame.columns]
        return {"rows": len(frame), "columns": names, "dataframe": frame}
