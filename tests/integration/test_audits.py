"""Audits through a real server: lights from real kernels, and nothing touched or left."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import pytest

from opspawn_jupyter.audit.surroundings import can_enclose
from opspawn_jupyter.audit.verify import verify
from opspawn_jupyter.model import clock, wire
from opspawn_jupyter.model.lineage import Lineage, Parent, ended, started
from opspawn_jupyter.model.states import FINAL
from opspawn_jupyter.model.work import TASK_VARIABLE
from opspawn_jupyter.runners import processes

ROOT = Path(__file__).parents[2]
#: Python of the environment with other people's validators.
VALIDATORS = Path(os.environ.get("OPSPAWN_VALIDATORS", ROOT / ".evidence")) / "bin" / "python"
RANDOM = "import os, time; print(os.urandom(4).hex())"

WRITE_BY_PATH = "try:\n    open({!r}, 'w')\nexcept OSError:\n    print('refused')"


def write_notebook(path: Path, *cells: tuple[str, str | None]) -> None:
    """A notebook of code cells, each with what it is stored to have printed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = [_cell(number, *cell) for number, cell in enumerate(cells, start=1)]
    nbformat.write(nbformat.v4.new_notebook(cells=made), path)


def _cell(number: int, source: str, printed: str | None) -> Any:
    cell = nbformat.v4.new_code_cell(source, execution_count=number)
    if printed:
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=printed)]
    return cell


def audit(server, name: str, **spec: Any) -> dict[str, Any]:
    """The finished audit of a notebook."""
    policy = {"timeout_seconds": spec.pop("timeout_seconds")} if "timeout_seconds" in spec else {}
    body = {"kind": "audit", "spec": {"notebook": name, **spec}, "policy": policy}
    status, task = server.json("POST", "tasks", body=body)
    assert status == 201, task
    return server.wait(
        "the audit's end",
        lambda: server.json("GET", f"tasks/{task['id']}")[1],
        lambda one: one["state"] in FINAL,
    )


def report(server, task: dict[str, Any]) -> dict[str, Any]:
    status, given = server.json("GET", f"tasks/{task['id']}/artifacts/report.json")
    assert status == 200, given
    return given


def digests(directory: Path) -> dict[str, str]:
    """Every file below, by path, but for what opspawn itself keeps there."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def good(server) -> dict[str, Any]:
    """An audit of a notebook that reads a file of its project and is as it says."""
    write_notebook(
        server.root / "good" / "sum.ipynb",
        ("import json", None),
        ("numbers = json.load(open('numbers.json'))", None),
        ("print('sum', sum(numbers))", "sum 6\n"),
    )
    (server.root / "good" / "numbers.json").write_text("[1, 2, 3]")
    return audit(server, "good/sum.ipynb", reason="before the review")


def test_a_notebook_that_is_as_it_says_is_hermetic(server, good) -> None:
    """All five lights, from two runs of which the second differed in all six ways."""
    assert good["state"] == "success", good["error"]
    # A machine without namespaces for users cannot cut a run off from the network, and says so.
    expected = {"pass"} if can_enclose() else {"pass", "inconclusive"}
    assert set(good["outputs"]["lights"].values()) == expected, good["outputs"]["reasons"]
    assert good["outputs"]["headline"] == ("HERMETIC" if can_enclose() else "REPRODUCIBLE")

    given = report(server, good)
    assert [one["path"] for one in given["inputs"]] == ["numbers.json"]
    assert len(given["runs"]) == 2
    assert len(given["runs"][1]["perturbed"]) == (6 if can_enclose() else 5)


def test_an_audit_leaves_report_junit_and_executed_notebooks(server, good) -> None:
    listed = server.json("GET", f"tasks/{good['id']}/artifacts")[1]["artifacts"]

    assert {one["path"] for one in listed} == {
        "junit.xml",
        "report.html",
        "report.json",
        "runs/control.ipynb",
        "runs/perturbed.ipynb",
        "sbom.cdx.json",
    }


def test_the_cause_of_an_unstable_cell_is_named_and_the_original_stays_as_it_is(server) -> None:
    """One notebook with several faults: each light says its own, and nothing in the directory
    changes though the notebook writes into it, by a path relative and absolute."""
    directory = server.root / "faulty"
    write_notebook(
        directory / "faulty.ipynb",
        ("print([*{'a', 'b', 'c', 'd', 'e', 'f'}])", "['a', 'b', 'c', 'd', 'e', 'f']\n"),
        (RANDOM, "00000000\n"),
        ("print(6 * 7)", "41\n"),
        ("open('made.txt', 'w').write('x'); None", None),
        (
            WRITE_BY_PATH.format(str(directory / "absolute.txt")),
            "refused\n",
        ),
    )
    before = digests(directory)

    task = audit(server, "faulty/faulty.ipynb")

    assert digests(directory) == before
    given = report(server, task)
    cells = {cell["index"]: cell for cell in given["cells"]}
    assert cells[0]["cause"] == "depends on the hash seed"
    assert cells[1]["cause"].startswith("differs in the same surroundings too")
    assert [index for index, cell in cells.items() if cell["stored"] == "different"] == [0, 1, 2]
    assert [one["path"] for one in given["products"]] == ["made.txt"]
    lights = task["outputs"]["lights"]
    assert (lights["executes"], lights["same_results"], lights["deterministic"]) == (
        "pass",
        "fail",
        "fail",
    )
    assert lights["hermetic"] == "fail"  # it tried to write beyond its copy
    assert task["outputs"]["headline"] == "EXECUTES"


def test_a_notebook_without_end_is_inconclusive_and_leaves_nothing_running(server) -> None:
    write_notebook(
        server.root / "endless" / "endless.ipynb",
        ("import subprocess, time", None),
        ("p = subprocess.Popen(['sleep', '600'])\nwhile True: time.sleep(1)", None),
    )

    task = audit(server, "endless/endless.ipynb", timeout_seconds=8)

    assert task["outputs"]["headline"] == "INCONCLUSIVE"
    assert "timed_out" in task["outputs"]["reasons"]["executes"]
    server.wait(
        "the end of all that it started",
        lambda: processes.marked(TASK_VARIABLE, task["id"]),
        lambda left: not left,
    )


def test_what_a_notebook_claims_in_its_metadata_counts_for_nothing(server) -> None:
    """Labels that tools believed have made never-executed notebooks "reproduced"."""
    path = server.root / "claims" / "claims.ipynb"
    write_notebook(path, ("x = 1", None))
    document = json.loads(path.read_text())
    document["cells"][0]["execution_count"] = None
    document["metadata"]["opspawn"] = {"reproduced": True, "headline": "HERMETIC"}
    path.write_text(json.dumps(document))

    task = audit(server, "claims/claims.ipynb")

    assert task["outputs"]["lights"]["same_results"] == "not_applicable"
    assert task["outputs"]["headline"] == "EXECUTES"


def test_a_cell_that_raises_fails_with_its_place(server) -> None:
    write_notebook(server.root / "raises" / "raises.ipynb", ("a = 1", None), ("1 / 0", None))

    task = audit(server, "raises/raises.ipynb")

    assert task["outputs"]["headline"] == "FAILS"
    assert "ZeroDivisionError" in task["outputs"]["reasons"]["executes"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"notebook": "missing.ipynb"}, "no notebook at this path"),
        ({"notebook": "good/sum.ipynb", "inputs": ["../secret"]}, "inside good/"),
        ({"notebook": "good/sum.ipynb", "speed": 3}, "no field 'speed'"),
        ({"notebook": "rules/n.ipynb"}, "exemption needs a reason"),
    ],
)
def test_what_cannot_be_audited_is_refused_with_a_sentence(server, good, spec, said) -> None:
    """Nothing is stored then, and nobody has to wait for a run to learn of a misspelt rule."""
    write_notebook(server.root / "rules" / "n.ipynb", ("1", None))
    (server.root / "rules" / "opspawn-audit.toml").write_text('[[exempt]]\ntag = "x"\n')

    status, answer = server.json("POST", "tasks", body={"kind": "audit", "spec": spec})

    assert status in (404, 422)
    assert said in answer["message"]


def test_the_sealed_evidence_can_be_verified_without_the_server(
    server, good, tmp_path: Path
) -> None:
    """The bundle comes over HTTP and by the command, and speaks for itself from then on."""
    status, headers, content = server.ask("GET", f"tasks/{good['id']}/bundle")
    assert (status, headers["Content-Type"]) == (200, "application/zip")
    path = tmp_path / "evidence.zip"
    path.write_bytes(content)

    command = [sys.executable, "-m", "opspawn_jupyter.cli", "verify", str(path)]
    right = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    path.write_bytes(content.replace(b"sum 6", b"sum 7", 1))
    wrong = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert (right.returncode, good["outputs"]["headline"] in right.stdout) == (0, True), (
        right.stdout
    )
    assert wrong.returncode == 1
    assert "✗ " in wrong.stdout


@pytest.mark.skipif(not VALIDATORS.is_file(), reason="needs the validators that .ci/run installs")
@pytest.mark.timeout(900)
def test_tools_of_others_read_bundle_and_lineage(server, good, tmp_path: Path) -> None:
    """BagIt, RO-Crate with three profiles, runcrate, CycloneDX and OpenLineage: each by its own
    validator, in an environment of its own, without a network."""
    with zipfile.ZipFile(io.BytesIO(server.ask("GET", f"tasks/{good['id']}/bundle")[2])) as archive:
        archive.extractall(tmp_path / "bundle")
    given = server.json("GET", f"tasks/{good['id']}/lineage")[1]
    run = wire.decode(Lineage, given).runs[0]
    parent = Parent(task_id=good["id"], job="daily")
    at = clock.now()
    said = [started(run, at, "opspawn", parent), ended(run, at, "opspawn", None, "no rows")]
    events = tmp_path / "events.jsonl"
    events.write_text("".join(f"{json.dumps(one)}\n" for one in said))

    command = [str(VALIDATORS), str(Path(__file__).with_name("validators.py"))]
    words = [*command, str(tmp_path / "bundle"), str(events)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": valid") == 6


def test_lineage_names_what_an_audit_read(server, good) -> None:
    (run,) = server.json("GET", f"tasks/{good['id']}/lineage")[1]["runs"]

    assert [Path(one["path"]).name for one in run["inputs"]] == ["sum.ipynb", "numbers.json"]
    assert all(one["sha256"] for one in run["inputs"])
    assert "report.html" in {Path(one["path"]).name for one in run["outputs"]}


def test_the_head_of_the_history_can_be_had_while_the_server_runs(server, good) -> None:
    status, head = server.json("GET", "history/head")

    assert status == 200
    assert head["tree_size"] > 0
    assert len(head["root_sha256"]) == 64


def test_only_audits_are_sealed(server) -> None:
    write_notebook(server.root / "plain.ipynb", ("1", None))
    task = server.json("POST", "tasks", body={"spec": {"notebook": "plain.ipynb"}})[1]

    status, answer = server.json("GET", f"tasks/{task['id']}/bundle")

    assert (status, answer["code"]) == (422, "invalid_request")


def test_a_signature_is_taken_sealed_and_verified_with_its_reason(
    server, good, tmp_path: Path
) -> None:
    """The holder of the token asked for the audit, so may stand by it and not review it."""
    path = f"tasks/{good['id']}/signatures"
    own = {"meaning": "author", "reason": "ready for review", "name": "A. Author"}

    status, given = server.json("POST", path, body=own)
    refused, why = server.json("POST", path, body={**own, "meaning": "review"})
    misspelt, said = server.json("POST", path, body={**own, "meaning": "liked"})
    listed = server.json("GET", path)[1]["signatures"]
    target = tmp_path / "signed.zip"
    target.write_bytes(server.ask("GET", f"tasks/{good['id']}/bundle")[2])

    assert (status, given["name"], given["headline"]) == (
        201,
        "A. Author",
        good["outputs"]["headline"],
    )
    assert (refused, why["code"]) == (403, "not_authorized")
    assert misspelt == 422, said
    assert [one["id"] for one in listed] == [given["id"]]
    found = verify(target)
    assert found.problem is None
    assert "what people signed is under this report" in found.checks


def test_a_period_is_exported_and_a_wrong_one_refused(server, good, tmp_path: Path) -> None:
    target = tmp_path / "period.zip"
    target.write_bytes(server.ask("GET", "history/period?since=2020-01-01")[2])
    backwards, why = server.json("GET", "history/period?since=2030-01-01")
    misspelt, _ = server.json("GET", "history/period?since=yesterday")

    assert verify(target).problem is None
    assert (backwards, why["code"]) == (422, "invalid_request")
    assert misspelt == 422
