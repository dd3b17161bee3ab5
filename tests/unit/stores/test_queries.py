"""What the store's statements promise beyond what they give."""

from __future__ import annotations

import duckdb
import pytest

from opspawn_jupyter.stores import views
from opspawn_jupyter.stores.queries import migrations, queries


def test_a_transaction_sees_the_file_as_it_was_when_it_began() -> None:
    """File and memory are one snapshot only if the file is seen as of the moment at which memory
    was copied, and not as of the first question."""
    with duckdb.connect() as connection, connection.cursor() as reader:
        for script in migrations().values():
            connection.execute(script)
        reader.execute(queries()["begin_reading"])
        connection.execute(queries()["set_meta"], {"key": "applied", "value": 7})

        assert reader.execute(queries()["meta"], {"key": "applied"}).fetchall() == [(0,)]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("select 1", []),
        ("select count(*) from Tasks", ["tasks"]),
        ("from attempts", ["events", "attempts"]),
        (
            "from dead_letters join questions on true",
            ["tasks", "dead_letters", "records", "questions"],
        ),
    ],
)
def test_a_query_gets_the_views_that_it_names_and_what_they_stand_on(
    query: str, names: list[str]
) -> None:
    """To make all of them takes longer than most queries."""
    assert views.named(query) == names
    assert set(names) <= set(views.named("show tables"))
