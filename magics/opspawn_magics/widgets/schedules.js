/** When what runs: the schedules of the server, with all that can be done to them. */

import { dueMoment, node, pill, say, setPill, show } from "./dom.js";
import { RunForm } from "./form.js";

/**
 * @typedef {{ id: string, plan: import("./form.js").Plan, state: string, state_reason: string, last_task_id: string | null }} Schedule
 * @typedef {{ schedule: Schedule, words: string, next_due_at: string[] }} ScheduleView
 * @typedef {import("./server.js").Server} Server
 */

const WORDS = { pause: "Pause", resume: "Resume", trigger: "Run now", edit: "Edit…", remove: "Delete" };
const REALLY = "Really delete";

/** @typedef {(path: string, method?: string, body?: unknown) => Promise<boolean>} Act  whether the server did it */

class Row {
  /** @type {HTMLElement | null} */
  form = null;

  /** @param {ScheduleView} view @param {Act} act @param {Server} server @param {boolean} is_read_only */
  constructor({ schedule }, act, server, is_read_only) {
    const path = encodeURIComponent(schedule.id);
    const button = (/** @type {() => void} */ onclick) => node("button", { class: "opspawn-button", type: "button", onclick });
    const verb = (/** @type {string} */ word) => button(() => void act(`${path}/${word}`));
    this.server = server;
    this.schedule = schedule;
    this.pill = pill(schedule.state);
    this.name = node("strong", { class: "opspawn-name" });
    this.words = node("div");
    this.next = node("div", { class: "opspawn-quiet" });
    this.verbs = {
      pause: verb("pause"), resume: verb("resume"), trigger: verb("trigger"),
      edit: button(() => void this.#edit((body) => act(path, "PATCH", body))), remove: button(() => this.#remove(() => void act(path, "DELETE"))),
    };
    // Whoever turns away from the question has answered it.
    this.verbs.remove.addEventListener("blur", () => this.#name_verb("remove"));
    this.last = node("a", { class: "opspawn-button", target: "_blank", rel: "noopener" }, "Last run");
    this.complaint = node("div", { class: "opspawn-complaint", role: "alert" });
    this.root = node(
      "li", { class: "opspawn-schedule" },
      node("div", { class: "opspawn-head" }, this.pill, this.name), this.words, this.next,
      node("div", { class: "opspawn-actions" }, ...(is_read_only ? [] : Object.values(this.verbs)), this.last), this.complaint,
    );
  }

  /** @param {keyof typeof WORDS} verb @param {string} [word] */
  #name_verb(verb, word = WORDS[verb]) {
    say(this.verbs[verb], word);
    this.verbs[verb].setAttribute("aria-label", `${word.replace("…", "")} ${this.schedule.plan.name}`);
  }

  /** The second press counts. @param {() => void} remove */
  #remove(remove) {
    if (this.verbs.remove.textContent !== WORDS.remove) return remove();
    this.#name_verb("remove", REALLY);
  }

  /** Show the form below the row, or put it away. @param {(body: unknown) => Promise<boolean>} save */
  async #edit(save) {
    say(this.complaint, "");
    if (this.form) return this.#put_away();
    const { plan } = this.schedule, path = plan.submission.spec.notebook;
    try {
      const { parameters } = path ? await this.server.request(`notebooks/parameters?${new URLSearchParams({ path })}`) : { parameters: [] };
      const form = new RunForm(path ?? "", parameters, this.server, plan);
      const onsubmit = async (/** @type {Event} */ event) => {
        event.preventDefault();
        if (await save({ changes: form.changes() })) this.#put_away();
      };
      this.form = node(
        "form", { class: "opspawn-edit", "aria-label": `Edit ${plan.name}`, onsubmit }, form.root,
        node("div", { class: "opspawn-actions" }, node("button", { class: "opspawn-button opspawn-main" }, "Save"),
          node("button", { class: "opspawn-button", type: "button", onclick: () => this.#put_away() }, "Leave as it was")),
      );
      this.root.append(this.form);
      /** @type {HTMLElement | null} */ (this.form.querySelector("input, select"))?.focus();
    } catch (problem) {
      say(this.complaint, /** @type {Error} */ (problem).message);
    }
  }

  #put_away() {
    this.form?.remove();
    this.form = null;
    this.verbs.edit.focus();
  }

  /** @param {ScheduleView} view */
  paint({ schedule, words, next_due_at: [next] }) {
    const { name } = schedule.plan, had_focus = this.root.contains(document.activeElement);
    this.schedule = schedule;
    setPill(this.pill, schedule.state);
    say(this.name, name);
    say(this.words, words);
    this.next.replaceChildren(...(next ? ["next ", dueMoment(next)] : [schedule.state_reason && `${schedule.state}: ${schedule.state_reason}`]));
    const is_asking = this.verbs.remove.textContent === REALLY;  // news is no answer to that
    for (const verb of /** @type {(keyof typeof WORDS)[]} */ (Object.keys(WORDS))) this.#name_verb(verb, is_asking && verb === "remove" ? REALLY : WORDS[verb]);
    show(this.verbs.pause, schedule.state === "active");
    show(this.verbs.resume, schedule.state === "paused");
    show(this.last, Boolean(schedule.last_task_id));
    if (schedule.last_task_id) this.last.href = this.server.run(schedule.last_task_id);
    this.last.setAttribute("aria-label", `Last run of ${name}`);
    // The button that was pressed may be gone; the keyboard stays in the row.
    if (had_focus && !this.root.querySelector(":focus:not([hidden])")) this.verbs[schedule.state === "paused" ? "resume" : "trigger"].focus();
  }
}

/** All schedules, kept true by their events. Nothing is shown where there are none. */
export class Schedules {
  count = node("span");
  list = node("ul", { class: "opspawn-rows", "aria-label": "Schedules" });
  complaint = node("div", { class: "opspawn-complaint", role: "alert" });
  root = node(
    "details", { class: "opspawn opspawn-section opspawn-schedules", open: true, hidden: true },
    node("summary", {}, this.count), this.complaint, this.list,
  );
  /** @type {Map<string, Row>} */
  rows = new Map();
  is_reading = false;
  is_stale = false;

  /** @param {Server} server @param {{ isReadOnly?: boolean }} [options] */
  constructor(server, { isReadOnly = false } = {}) {
    this.server = server;
    this.isReadOnly = isReadOnly;
    this.close = server.stream().listen({
      event: ({ type }) => { if (type.startsWith("schedule.")) void this.refresh(); },
      reset: () => void this.refresh(),
      connection: () => {},
    });
  }

  /** Ask the server; once more where something was told meanwhile. */
  async refresh() {
    this.is_stale = true;
    if (this.is_reading) return;
    this.is_reading = true;
    try {
      while (this.is_stale) {
        this.is_stale = false;
        this.#paint((await this.server.request("schedules")).schedules);
      }
    } catch (problem) {
      this.#complain(problem);
    } finally {
      this.is_reading = false;
    }
  }

  /** @param {ScheduleView[]} views */
  #paint(views) {
    const ids = new Set(views.map(({ schedule }) => schedule.id));
    for (const [id, row] of this.rows) {
      if (ids.has(id)) continue;
      row.root.remove();
      this.rows.delete(id);
    }
    views.forEach((view, place) => {
      const { id } = view.schedule;
      const row = this.rows.get(id) ?? new Row(view, (path, method, body) => this.#act(path, method, body), this.server, this.isReadOnly);
      this.rows.set(id, row);
      row.paint(view);
      if (this.list.children[place] !== row.root) this.list.insertBefore(row.root, this.list.children[place] ?? null);
    });
    say(this.count, `Schedules (${views.length})`);
    show(this.root, views.length > 0);
  }

  /** @param {string} path @param {string} [method] @param {unknown} [body] */
  async #act(path, method = "POST", body = undefined) {
    say(this.complaint, "");
    try {
      await this.server.request(`schedules/${path}`, { method, body });
      await this.refresh();
      return true;
    } catch (problem) {
      this.#complain(problem);
      return false;
    }
  }

  /** @param {unknown} problem */
  #complain(problem) {
    say(this.complaint, /** @type {Error} */ (problem).message);
    show(this.root, true);
  }
}
