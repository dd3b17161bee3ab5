/** When what runs: the schedules of the server, and the fields that make one. */

import { moment, node, pill, say, setPill, show } from "./dom.js";

/**
 * @typedef {{ id: string, plan: { name: string }, state: string, state_reason: string, last_task_id: string | null }} Schedule
 * @typedef {{ schedule: Schedule, words: string, next_due_at: string[] }} ScheduleView
 * @typedef {import("./server.js").Server} Server
 */

const ASK_AFTER_MILLISECONDS = 250;

class Row {
  /** @param {ScheduleView} view @param {(path: string) => void} act @param {Server} server @param {boolean} is_read_only */
  constructor({ schedule }, act, server, is_read_only) {
    const button = (/** @type {string} */ verb) => node("button", { class: "opspawn-button", type: "button", onclick: () => act(`${encodeURIComponent(schedule.id)}/${verb}`) });
    this.server = server;
    this.pill = pill(schedule.state);
    this.name = node("strong", { class: "opspawn-name" });
    this.words = node("div");
    this.next = node("div", { class: "opspawn-quiet" });
    this.verbs = { pause: button("pause"), resume: button("resume"), trigger: button("trigger") };
    this.last = node("a", { class: "opspawn-button", target: "_blank", rel: "noopener" }, "Last run");
    this.root = node(
      "li", { class: "opspawn-schedule" },
      node("div", { class: "opspawn-head" }, this.pill, this.name), this.words, this.next,
      node("div", { class: "opspawn-actions" }, ...(is_read_only ? [] : Object.values(this.verbs)), this.last),
    );
  }

  /** @param {ScheduleView} view */
  paint({ schedule, words, next_due_at: [next] }) {
    const { name } = schedule.plan, had_focus = this.root.contains(document.activeElement);
    setPill(this.pill, schedule.state);
    say(this.name, name);
    say(this.words, words);
    this.next.replaceChildren(...(next ? ["next ", moment(next)] : [schedule.state_reason && `${schedule.state}: ${schedule.state_reason}`]));
    for (const [verb, word] of Object.entries({ pause: "Pause", resume: "Resume", trigger: "Run now" })) {
      const button = this.verbs[/** @type {"pause"} */ (verb)];
      say(button, word);
      button.setAttribute("aria-label", `${word} ${name}`);
    }
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
      const row = this.rows.get(id) ?? new Row(view, (path) => void this.#act(path), this.server, this.isReadOnly);
      this.rows.set(id, row);
      row.paint(view);
      if (this.list.children[place] !== row.root) this.list.insertBefore(row.root, this.list.children[place] ?? null);
    });
    say(this.count, `Schedules (${views.length})`);
    show(this.root, views.length > 0);
  }

  /** @param {string} path */
  async #act(path) {
    say(this.complaint, "");
    try {
      await this.server.request(`schedules/${path}`, { method: "POST" });
      await this.refresh();
    } catch (problem) {
      this.#complain(problem);
    }
  }

  /** @param {unknown} problem */
  #complain(problem) {
    say(this.complaint, /** @type {Error} */ (problem).message);
    show(this.root, true);
  }
}

/** A cron rule and its time zone, with what the server takes them to mean. */
export class TimingFields {
  cron = node("input", { type: "text", value: "0 6 * * 1-5", spellcheck: "false", oninput: () => this.#askSoon() });
  zone = node("input", { type: "text", spellcheck: "false", oninput: () => this.#askSoon() });
  meaning = node("div", { class: "opspawn-meaning", role: "status" });
  root = node(
    "div", { class: "opspawn-timing" },
    node("label", {}, node("strong", {}, "When"), this.cron, node("small", {}, "minute hour day month weekday, or @hourly, @daily, @weekly, @monthly")),
    node("label", {}, node("strong", {}, "Time zone"), this.zone), this.meaning,
  );
  timer = 0;

  /** @param {Server} server */
  constructor(server) {
    this.server = server;
    this.zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
    void this.#ask();
  }

  timing() {
    return { cron: this.cron.value.trim(), timezone: this.zone.value.trim() };
  }

  #askSoon() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.#ask(), ASK_AFTER_MILLISECONDS);
  }

  async #ask() {
    const timing = this.timing(), is_latest = () => JSON.stringify(timing) === JSON.stringify(this.timing());
    try {
      const { words, next_due_at } = await this.server.request("timings", { method: "POST", body: timing });
      const said = (/** @type {string} */ at) => new Date(at).toLocaleString([], { timeZone: timing.timezone, dateStyle: "full", timeStyle: "short" });
      const times = next_due_at.map((/** @type {string} */ at) => node("li", {}, node("time", { datetime: at }, said(at))));
      if (is_latest()) this.meaning.replaceChildren(words, node("ol", {}, ...times));
    } catch (problem) {
      if (is_latest()) this.meaning.replaceChildren(node("span", { class: "opspawn-complaint" }, /** @type {Error} */ (problem).message));
    }
  }
}
