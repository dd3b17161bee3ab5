"""What an audit of two runs costs beside one plain run, through a server with a warm worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from benchmarks import notebooks, servers
from benchmarks.measure import Row, Size, Way
from opspawn_jupyter.model.task import Submission

_PLOT = "import matplotlib.pyplot as plt\nplt.plot([{0}, 2, 1])\nplt.show()"
_COUNT = "print(sum(i * i for i in range(12_000_000)))"
_NOTEBOOKS = {
    "three": notebooks.THREE,
    "frame": notebooks.PANDAS,
    "plots": tuple(_PLOT.format(number) for number in range(8)),
    "computes": (_COUNT,) * 8,
}


@contextmanager
def _audits(size: Size) -> Iterator[Mapping[str, Way]]:
    with servers.ours() as own:
        ways: dict[str, Way] = {}
        for name, sources in [*_NOTEBOOKS.items()][: size.of(len(_NOTEBOOKS), 1)]:
            file = notebooks.write(own.root, name, sources).name
            submission = Submission(kind="audit", spec={"notebook": file})
            own.submit_and_wait([file])
            own.finish(submission)
            ways[f"{name}: plain"] = partial(own.submit_and_wait, [file])
            ways[f"{name}: audit"] = partial(own.finish, submission)
        yield ways


ROWS = (
    Row(
        name="audits",
        what="audit of two runs beside a plain run, REST submit to end seen by the client",
        unit="s",
        ways=_audits,
        rounds=3,
    ),
)
