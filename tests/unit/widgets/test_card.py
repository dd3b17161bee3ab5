"""The card of one task: live, safe, and true without a server."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.unit.widgets.stage import Stage, card, failed_record, task_record

pytestmark = pytest.mark.browser
ID = task_record()["id"]


def output(text: str, number: int = 1, **more: Any) -> dict[str, Any]:
    stream = {"output_type": "stream", "name": "stdout", "text": text}
    return {"index": 1, "output_number": number, "output": stream, **more}


def bundle(number: int, **more: Any) -> dict[str, Any]:
    data = more.pop("data")
    shown = {"output_type": "display_data", "data": data, "metadata": {}}
    return {"index": 1, "output_number": number, "output": shown, **more}


def test_it_follows_its_task_cell_by_cell(stage: Stage) -> None:
    """Nobody has to ask again to know how far a run is."""
    stage.hold(task_record())
    shown = stage.mount(card(task_record()))

    stage.tell("cell.started", ID, 6, index=0)
    expect(shown).to_contain_text("cell 1 of 4")
    expect(shown.locator("code")).to_have_text("step(0)")
    stage.tell("cell.finished", ID, 7, index=0, state="success", duration_seconds=1.0)
    stage.tell("cell.started", ID, 8, index=1)
    stage.tell("step.progress", ID, 9, fraction=0.5, text="half")
    stage.tell("step.output", ID, 10, name="rows", value=344)
    stage.tell("cell.output", ID, 10, **output("loading\n"))
    stage.tell("cell.output", ID, 10, **output("done\n", 2))

    expect(shown.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "38")
    expect(shown).to_contain_text("50 % half")
    expect(shown.locator("dd")).to_have_text("344")
    expect(shown.locator(".opspawn-stdout")).to_have_text("loading\ndone\n")


def test_an_audit_shows_its_verdict_as_lamps(stage: Stage) -> None:
    """It is read by people; what else the audit gives stands below as ever."""
    verdict = {
        "headline": "EXECUTES",
        "lights": {"executes": "pass", "same_results": "fail"},
        "reasons": {"executes": "3 of 3 cells ran", "same_results": "2 cells <b>differ</b>"},
        "different": [1, 2],
    }
    done = {"state": "success", "kind": "audit", "outputs": verdict}
    shown = stage.mount(card(task_record(**done, run_directory="runs/a b")))

    stamp = shown.locator(".opspawn-stamp")
    expect(stamp).to_have_text("EXECUTES")
    expect(stamp).to_have_attribute("data-answer", "inconclusive")
    expect(shown.locator(".opspawn-lamp")).to_have_text(
        ["executes✓ pass3 of 3 cells ran", "same results✗ fail2 cells <b>differ</b>"]
    )
    expect(shown.locator("dt")).to_have_text(["different"])
    report = shown.get_by_role("link", name="Report")
    expect(report).to_have_attribute("href", re.compile(r"lab/tree/runs/a%20b/artifacts/report"))


def test_an_audit_that_has_come_to_nothing_has_no_lamps(stage: Stage) -> None:
    """While it runs there is none, and other tasks may have a value of that name."""
    shown = stage.mount(card(task_record(kind="audit")))
    expect(shown.locator(".opspawn-verdict")).to_be_hidden()

    other = stage.mount(card(task_record(state="success", outputs={"headline": "Rain"})))
    expect(other.locator("dd").last).to_have_text("Rain")
    expect(other.locator(".opspawn-lamp")).to_have_count(0)


def test_a_change_of_state_is_read_from_the_server(stage: Stage) -> None:
    """The browser keeps no table of transitions that could drift from the server's."""
    stage.hold(task_record())
    shown = stage.mount(card(task_record()))
    expect(shown.get_by_role("button", name="Cancel")).to_be_visible()

    stage.hold(failed_record(seq=9))
    stage.tell("task.failed", ID, 9)

    expect(shown.locator(".opspawn-pill").first).to_have_text("✗ failed")
    expect(shown.get_by_role("status")).to_have_text("penguins is now failed")
    assert "cell 3 of 4: KeyError: 'price'" in shown.locator(".opspawn-problem").inner_text()
    expect(shown.locator(".opspawn-traceback")).to_have_text("KeyError: 'price'")
    expect(shown.get_by_role("button", name="Retry")).to_be_visible()
    expect(shown.get_by_role("button", name="Cancel")).to_have_count(0)
    stage.page.wait_for_function("fake.live().length === 0")


def test_what_is_told_while_the_task_is_read_is_not_lost(stage: Stage) -> None:
    """The answer may be older than what was told meanwhile, and the state is in the answer."""
    stage.hold(task_record(state="queued", cells=[]))
    shown = stage.mount(card(task_record(state="queued", cells=[])))
    expect(shown.locator(".opspawn-pill")).to_have_text("◔ queued")
    stage.page.wait_for_function("fake.live().length > 0")

    # Both are told before the answer to the request that the first one causes can have come.
    stage.page.evaluate(
        """([task, cells]) => {
          fake.tasks.set(task.id, task);
          fake.tell({ type: "task.started", task_id: task.id, seq: 6, attempt: 1, data: {} });
          const data = { cells };
          fake.tell({ type: "cells.planned", task_id: task.id, seq: 7, attempt: 1, data });
        }""",
        [task_record(seq=6, cells=[]), [{"index": 0, "id": "a", "title": "step(0)"}]],
    )

    expect(shown).to_contain_text("cells 0 of 1")
    expect(shown.locator(".opspawn-pill")).to_have_text("▶ running")


def test_what_was_missed_is_asked_for_after_a_break(stage: Stage) -> None:
    """A laptop that slept, or a server that was restarted, must cost no event and no reload."""
    stage.hold(task_record())
    shown = stage.mount(card(task_record()))
    stage.tell("cell.started", ID, 6, index=0)

    stage.page.evaluate("fake.breakSockets()")
    expect(shown.locator(".opspawn-link-state")).to_have_text("○ reconnecting")
    stage.page.wait_for_function("fake.live().length === 1")

    assert "after=6" in stage.page.evaluate("fake.live()[0].url")
    expect(shown.locator(".opspawn-link-state")).to_have_text("● live")
    stage.tell("cell.finished", ID, 7, index=0, state="success")
    expect(shown).to_contain_text("cells 1 of 4")


def test_requests_go_below_the_base_url_and_carry_the_xsrf_cookie(stage: Stage) -> None:
    """JupyterHub refuses even to read without it."""
    stage.page.evaluate("document.cookie = '_xsrf=2|a|b; path=/'")
    stage.hold(task_record())
    stage.mount(card(task_record())).get_by_role("button", name="Cancel").click()

    stage.page.wait_for_function("fake.sent.some(({ method }) => method === 'POST')")
    (sent,) = stage.sent()
    assert (sent["path"], sent["base"], sent["xsrf"]) == (f"tasks/{ID}/cancel", "/base/", "2|a|b")
    assert all(one["xsrf"] == "2|a|b" for one in stage.sent("GET"))
    assert "/base/opspawn/api/v1/events/stream" in stage.page.evaluate("fake.sockets[0].url")


def test_a_refusal_is_said_in_the_servers_words(stage: Stage) -> None:
    stage.hold(task_record())
    shown = stage.mount(card(task_record()))
    stage.page.evaluate("fake.refusal = 'The task has ended already.'")

    shown.get_by_role("button", name="Cancel").click()

    expect(shown.get_by_role("alert")).to_have_text("The task has ended already.")


def test_no_script_of_an_output_runs(stage: Stage) -> None:
    """Outputs come from notebooks of other people; the page has the user's cookies."""
    attack = (
        "<script>top.hacked = 1</script><b onmouseover='top.hacked = 1'>bold</b>"
        "<img src=x onerror='top.hacked = 1'><img src='http://elsewhere.test/x.png'>"
    )
    svg = "<svg xmlns='http://www.w3.org/2000/svg' onload='top.hacked = 1'><script>1</script></svg>"
    stage.hold(task_record())
    shown = stage.mount(card(task_record()))

    stage.tell("cell.output", ID, 6, **bundle(1, data={"text/html": attack.split("</script>")[1]}))
    stage.tell("cell.output", ID, 6, **bundle(2, data={"image/svg+xml": svg}))
    stage.tell("cell.output", ID, 6, **bundle(3, data={"text/html": attack, "text/plain": "T"}))
    stage.tell("cell.output", ID, 6, **bundle(4, data={"text/markdown": attack}))

    frame = shown.locator("iframe")
    expect(frame).to_have_count(1)
    frame.content_frame.locator("b").hover()
    expect(shown.locator(".opspawn-outputs")).to_contain_text("T")
    assert frame.get_attribute("sandbox") == "allow-same-origin"
    assert stage.page.evaluate("window.hacked") is None
    assert stage.page.locator("#place script").count() == 0


def test_a_display_is_replaced_and_a_clear_clears(stage: Stage) -> None:
    """A progress bar must not fill the page."""
    stage.hold(task_record())
    shown = stage.mount(card(task_record()))

    plain = {"text/plain": "10 %"}
    stage.tell("cell.output", ID, 6, **bundle(1, data=plain, display_id="bar"))
    stage.tell("cell.output", ID, 6, **bundle(2, data={"text/plain": "20 %"}, update="bar"))
    stage.tell("cell.output", ID, 6, **bundle(2, data={"text/plain": "20 %"}, update="bar"))
    expect(shown.locator(".opspawn-outputs")).to_have_text("20 %")

    stage.tell("cell.output", ID, 6, **output("at 1\rat 2\rat 3", 3))
    stage.tell("cell.output", ID, 6, **output("\rat 4\n", 4))
    expect(shown.locator(".opspawn-stdout")).to_have_text("at 4\n")
    stage.tell("cell.output", ID, 6, index=1, output_number=5, clear=True)
    expect(shown.locator(".opspawn-outputs > *")).to_have_count(0)


def test_without_a_server_it_is_a_picture(stage: Stage) -> None:
    """A notebook that is read elsewhere shows how things stood, and promises nothing."""
    shown = stage.mount(card(failed_record()), has_server=False)

    expect(shown).to_contain_text("KeyError: 'price'")
    expect(shown.get_by_role("button")).to_have_count(0)
    assert stage.page.evaluate("fake.sent.length + fake.sockets.length") == 0


def test_a_task_that_the_server_does_not_know_stays_a_picture(stage: Stage) -> None:
    """A notebook that came from a colleague's server."""
    shown = stage.mount(card(failed_record()))

    expect(shown.locator(".opspawn-link-state")).to_have_text("as it was when this was saved")
    expect(shown).to_contain_text("KeyError: 'price'")


def test_an_untrusted_notebook_gets_no_buttons(stage: Stage) -> None:
    """Who opens a stranger's notebook must not cancel their own work with it."""
    stage.hold(failed_record())
    shown = stage.mount(card(failed_record()), isReadOnly=True)

    expect(shown.get_by_role("link", name="Run page")).to_be_visible()
    expect(shown.get_by_role("button")).to_have_count(0)


def test_a_panel_of_a_newer_version_says_so(stage: Stage) -> None:
    shown = stage.mount({"version": 2, "view": "hologram"})

    expect(shown).to_contain_text("newer opspawn_jupyter")


def test_a_question_is_answered_in_the_card(stage: Stage) -> None:
    """Whoever waits for a person says so where the person looks."""
    waiting = task_record(state="waiting")
    stage.hold(waiting)
    question = {
        "id": "q1",
        "text": "May it send the report?",
        "detail": {"to": "<b>all</b>"},
        "choices": ["yes", "no"],
        "task_id": ID,
        "asked_by": "agent",
    }
    stage.page.evaluate("question => fake.questions.push(question)", question)
    shown = stage.mount(card(waiting))

    expect(shown.locator(".opspawn-question")).to_contain_text("<b>all</b>")
    shown.get_by_role("button", name="Yes: May it send the report?").click()

    expect(shown.locator(".opspawn-question")).to_have_count(0)
    (sent,) = stage.sent()
    assert (sent["path"], sent["body"]) == ("questions/q1/answer", {"answer": "yes"})


def test_where_to_log_in_is_a_link_and_no_other_address_is(stage: Stage) -> None:
    """The texts of questions are other people's."""
    address = "https://login.example/authorize?state=1"
    asked = {"id": "q1", "choices": ["no"], "task_id": ID, "asked_by": "me"}
    for known, detail in (("q1", {"server": "mail", "log_in_at": address}), ("q2", {})):
        text = f"mail wants you to log in: {address}"
        question = {**asked, "id": known, "text": text, "detail": detail}
        stage.page.evaluate("question => fake.questions.push(question)", question)
    waiting = task_record(state="waiting")
    stage.hold(waiting)
    shown = stage.mount(card(waiting))

    link = shown.locator(".opspawn-question a")
    expect(link).to_have_count(1)
    expect(link).to_have_attribute("href", address)
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(link).to_have_text("at login.example")


def test_a_retry_stands_below_as_a_card_of_its_own(stage: Stage) -> None:
    stage.hold(failed_record())
    shown = stage.mount(card(failed_record()))

    shown.get_by_role("button", name="Retry").click()

    expect(stage.page.locator("#place > .opspawn-card")).to_have_count(2)


def test_the_executed_notebook_of_a_past_run_is_shown_on_demand(stage: Stage) -> None:
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": ["# Title\n", "<script>1</script>"]},
            {
                "cell_type": "code",
                "source": "print(1)",
                "execution_count": 1,
                "outputs": [{"output_type": "stream", "name": "stdout", "text": ["1\n", "2\n"]}],
            },
        ]
    }
    stage.page.evaluate("notebook => { fake.notebook = notebook; }", notebook)
    stage.hold(task_record(state="success"))
    shown = stage.mount(card(task_record(state="success")))

    shown.get_by_text("Output").click()

    expect(shown.locator(".opspawn-notebook .opspawn-stdout")).to_have_text("1\n2\n")
    shown.get_by_text("Log").click()
    expect(shown.locator(".opspawn-log")).to_have_text("a line of the log\n")


def test_the_keyboard_keeps_its_place_when_buttons_change(stage: Stage) -> None:
    """A repaint that drops the focus sends a keyboard's user back to the top of the page."""
    stage.hold(task_record())
    shown = stage.mount(card(task_record()))
    shown.get_by_role("button", name="Cancel").focus()

    stage.hold(failed_record(seq=9))
    stage.tell("task.failed", ID, 9)

    expect(shown.get_by_role("button", name="Retry")).to_be_focused()


def test_a_table_that_is_loaded_out_of_sight_has_its_height_once_it_is_seen(stage: Stage) -> None:
    """And the same one ever after: what is measured must not be what was set."""
    stage.hold(task_record())
    stage.mount(card(task_record()))
    stage.page.evaluate("document.getElementById('place').style.display = 'none'")
    rows = "<p>one</p><p>two</p><p>three</p>"
    stage.tell("cell.output", ID, 6, **bundle(1, data={"text/html": rows}))
    stage.page.wait_for_function(
        "document.querySelector('iframe')?.contentDocument.body?.innerText.includes('three')"
    )
    stage.page.evaluate("document.getElementById('place').style.display = ''")
    stage.page.wait_for_function("parseInt(document.querySelector('iframe')?.style.height) > 60")

    height = "document.querySelector('iframe').style.height"
    before = stage.page.evaluate(height)
    stage.darken()
    stage.page.wait_for_function(
        "document.querySelector('iframe').contentDocument.body.style.color"
    )
    assert stage.page.evaluate(height) == before


def test_a_table_keeps_its_height_when_it_is_moved_out_of_sight(stage: Stage) -> None:
    """JupyterLab takes cells out and puts them back hidden; then nothing can be measured."""
    stage.hold(task_record())
    stage.mount(card(task_record()))
    rows = "<p>one</p><p>two</p><p>three</p>"
    stage.tell("cell.output", ID, 6, **bundle(1, data={"text/html": rows}))
    stage.page.wait_for_function("parseInt(document.querySelector('iframe')?.style.height) > 60")

    stage.page.evaluate(
        """() => new Promise((then) => {
          const place = document.getElementById("place");
          place.querySelector("iframe").addEventListener("load", then, { once: true });
          place.style.display = "none";
          place.append(place.firstChild);
        })"""
    )

    assert stage.page.evaluate("parseInt(document.querySelector('iframe').style.height)") > 60
