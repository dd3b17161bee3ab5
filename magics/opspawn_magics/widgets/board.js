/** Many tasks as a list: rows keyed by task, patched where they change, a page at a time. */

import { coalesced, duration, moment, node, pill, say, setPill, short, show } from "./dom.js";
import { Card } from "./card.js";
import { Counts } from "./counts.js";
import { Questions } from "./questions.js";
import { Feed, canCancel, canRetry, cellsLine, fraction, isFinal, kindWord, problemLine, runningCell, seconds } from "./tasks.js";

/**
 * @typedef {import("./tasks.js").Task} Task
 * @typedef {import("./server.js").Server} Server
 * @typedef {import("./card.js").Host} Host
 */

const PAGE = 50;
const STATES = ["running", "queued", "pending", "retrying", "waiting", "success", "failed", "timed_out", "crashed", "cancelled", "skipped"];

class Row {
  /** @param {Task} task @param {(task: Task) => void} opened @param {(task: Task, verb: string) => void} act @param {boolean} is_read_only */
  constructor(task, opened, act, is_read_only) {
    this.task = task;
    this.pill = pill(task.state);
    this.name = node("button", { class: "opspawn-open", type: "button", "aria-expanded": "false", title: task.name, onclick: () => opened(this.task) }, task.name);
    this.id = node("span", { class: "opspawn-facts" }, short(task.id));
    this.fill = node("div", { class: "opspawn-fill" });
    this.bar = node("div", { class: "opspawn-bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 }, this.fill);
    this.cells = node("span", { class: "opspawn-facts" });
    this.time = node("span", { class: "opspawn-facts" });
    this.said = node("span", { class: "opspawn-said" });
    this.verb = node("button", { class: "opspawn-button", type: "button", onclick: () => act(this.task, this.verb.value) });
    this.is_read_only = is_read_only;
    /** @type {Task | null}  as it is shown */
    this.painted = null;
    /** @type {string | undefined} */
    this.question = undefined;
    this.root = node(
      "li", { class: "opspawn-row", "data-id": task.id },
      this.pill,
      node("div", { class: "opspawn-who" }, this.name, kindWord(task) && node("span", { class: "opspawn-kind" }, kindWord(task)), this.id),
      node("div", { class: "opspawn-how" }, this.bar, this.cells, this.time, node("span", { class: "opspawn-facts opspawn-when" }, moment(task.created_at))),
      this.said, this.verb,
    );
  }

  /** @param {Task} task @param {number} now @param {string} [question]  that it waits for */
  paint(task, now, question) {
    [this.task, this.painted, this.question] = [task, task, question];
    this.root.dataset.state = task.state;
    setPill(this.pill, task.state);
    const done = fraction(task), spent = seconds(task, now);
    const percent = Math.round(100 * (done ?? 0));
    this.bar.classList.toggle("opspawn-void", done === null);
    this.fill.style.width = `${percent}%`;
    this.bar.setAttribute("aria-valuenow", String(percent));
    this.bar.setAttribute("aria-label", `Progress of ${task.name}`);
    say(this.cells, cellsLine(task));
    say(this.time, spent === null ? "" : duration(spent));
    say(this.said, question ? `asks: ${question}` : problemLine(task) || runningCell(task)?.title || task.spec?.goal || "");
    this.said.title = this.said.textContent ?? "";
    const verb = canCancel(task) ? "Cancel" : canRetry(task) ? "Retry" : "";
    say(this.verb, verb);
    this.verb.value = verb.toLowerCase();
    this.verb.setAttribute("aria-label", `${verb} ${task.name}`);
    show(this.verb, Boolean(verb) && !this.is_read_only);
  }
}

export class Board {
  link = node("span", { class: "opspawn-link-state" });
  news = node("span", { class: "opspawn-unseen", role: "status", "aria-live": "polite" });
  filter = node(
    "select", { "aria-label": "Show tasks in this state", onchange: () => this.#refilter() },
    node("option", { value: "" }, "all states"),
    ...STATES.map((state) => node("option", { value: state }, state.replaceAll("_", " "))),
  );
  search = node("input", { type: "search", placeholder: "name begins with …", "aria-label": "Show tasks whose name begins so", onchange: () => this.#refilter() });
  parts = node("input", { type: "checkbox", onchange: () => this.#refilter() });
  tools = node("div", { class: "opspawn-tools" }, this.search, this.filter, node("label", { class: "opspawn-check" }, this.parts, "parts of other tasks"));
  list = node("ul", { class: "opspawn-rows" });
  empty = node("p", { class: "opspawn-quiet" }, "No tasks.");
  further = node("button", { class: "opspawn-button", type: "button", onclick: () => void this.#more() }, "Show more");
  complaint = node("div", { class: "opspawn-complaint", role: "alert" });
  /** @type {Map<string, Row>} */
  rows = new Map();
  /** @type {Set<string> | null}  null: all of them */
  changed = null;
  /** @type {Feed | null} */
  feed = null;
  /** @type {Card | null} */
  card = null;
  is_loaded = false;
  paint = coalesced(() => this.#paint());

  /**
   * @param {{
   *   server: Server | null, tasks?: Task[], query?: Record<string, any>, host?: Host, title?: string,
   *   isPart?: boolean, counted?: (count: number) => void,
   * }} options  ``isPart``: what stands around it has the heading, the questions and the counts
   */
  constructor({ server, tasks = [], query = {}, host = {}, title = "Tasks", isPart = false, counted = () => {} }) {
    this.server = server;
    this.host = host;
    this.query = query;
    this.counted = counted;
    this.isPart = isPart;
    this.picture = new Map(tasks.map((task) => [task.id, task]));
    this.search.value = query.name ?? "";
    this.parts.checked = !query.top;
    this.list.setAttribute("aria-label", title);
    show(this.tools, Boolean(server) && !isPart);
    show(this.further, false);
    this.questions = server && new Questions(server, { isReadOnly: host.isReadOnly, changed: () => { this.changed = null; this.paint(); } });
    // What a command narrowed down is not counted: the history would have to be told the same.
    this.counts = server && !Object.keys(query).some((name) => name !== "top") ? new Counts(server, () => !this.parts.checked) : null;
    this.root = node(
      "div", { class: "opspawn opspawn-board", role: "group", "aria-label": title },
      !isPart && node("div", { class: "opspawn-head" }, node("strong", {}, title), this.link), !isPart && this.questions?.root, this.tools, this.counts?.root,
      this.complaint, this.list, this.empty, this.further, this.news,
    );
    if (server) this.#listen(server);
    this.#paint();
    this.ticker = server ? window.setInterval(() => this.#tick(), 1000) : 0;
  }

  close() {
    clearInterval(this.ticker);
    this.feed?.close();
    this.card?.close();
    this.counts?.close();
  }

  get tasks() {
    return this.feed?.tasks.size ? this.feed.tasks : this.is_loaded ? new Map() : this.picture;
  }

  #parameters() {
    const words = new URLSearchParams({ limit: String(PAGE) });
    for (const [name, value] of Object.entries(this.query)) {
      for (const one of [value].flat()) if (one != null && one !== "") words.append(name, String(one));
    }
    if (this.parts.checked) words.delete("top");
    else words.set("top", "true");
    if (this.filter.value) words.set("state", this.filter.value);
    if (this.search.value) words.set("name", this.search.value);
    return words;
  }

  /** @param {Server} server */
  #listen(server) {
    this.feed?.close();
    this.is_loaded = false;
    this.feed = new Feed(server, {
      query: this.#parameters(),
      keep: (task) => this.#isAmong(task),
      changed: (task) => this.#take(task),
      question: () => void this.questions?.refresh(),
      connection: (state) => {
        if (state === "live") void this.questions?.refresh();
        say(this.link, state === "live" ? "● live" : "○ reconnecting");
        this.link.dataset.state = state;
      },
      failed: (problem) => say(this.complaint, problem.message),
    }).start();
  }

  #refilter() {
    this.picture.clear();
    this.changed = null;
    if (this.server) this.#listen(this.server);
  }

  /** @param {Task | null} task */
  #take(task) {
    this.is_loaded = true;
    const row = task && this.rows.get(task.id);
    if (task && row && row.task.state !== task.state) say(this.news, `${task.name} is now ${task.state.replaceAll("_", " ")}`);
    if (!task || Boolean(row) !== this.#belongs(task)) this.changed = null;
    else this.changed?.add(task.id);
    if (!task) say(this.complaint, "");
    if (!task) void this.counts?.read();
    else if (row?.task.state !== task.state) this.counts?.readSoon();
    this.paint();
  }

  /** A row stays when its task's state is no longer asked for, or it would go from under the pointer;
   * not where what stands around says which states these are. @param {Task} task */
  #belongs(task) {
    return !this.server || this.#matches(task) || (this.rows.has(task.id) && !this.isPart);
  }

  /** Whether the task is asked for. @param {Task} task */
  #matches(task) {
    const words = this.feed?.query ?? new URLSearchParams();
    const states = words.getAll("state"), labels = words.getAll("label");
    return (!states.length || states.includes(task.state))
      && task.name.startsWith(words.get("name") ?? "")
      && (!words.get("kind") || words.get("kind") === task.kind)
      && this.#isAmong(task)
      && labels.every((label) => task.labels?.[label.split(":")[0]] === label.slice(label.indexOf(":") + 1));
  }

  /** Whether a part, or what is none, is asked for at all. @param {Task} task */
  #isAmong(task) {
    const words = this.feed?.query ?? new URLSearchParams(), parent = words.get("parent");
    return (!parent || parent === task.parent_id) && !(words.get("top") && task.parent_id);
  }

  #paint() {
    const now = this.server?.now() ?? Date.now();
    if (this.changed) {
      for (const id of this.changed) {
        const task = this.tasks.get(id);
        if (task) this.rows.get(id)?.paint(task, now, this.#asks(id));
      }
    } else this.#arrange(now);
    this.changed = new Set();
  }

  /** Every row in its place. Those that are there already are moved, not made. @param {number} now */
  #arrange(now) {
    const tasks = [...this.tasks.values()].filter((task) => this.#belongs(task));
    if (!this.query.sort) tasks.sort((a, b) => (a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : 0));
    const wanted = new Set(tasks.map((task) => task.id));
    for (const [id, row] of this.rows) {
      if (wanted.has(id)) continue;
      row.root.remove();
      this.rows.delete(id);
    }
    /** @type {Element | null} */
    let place = this.list.firstElementChild;
    for (const task of tasks) {
      const row = this.rows.get(task.id) ?? this.#row(task), question = this.#asks(task.id);
      if (row.painted !== task || row.question !== question) row.paint(task, now, question);
      if (row.root === place) place = place.nextElementSibling;
      else this.list.insertBefore(row.root, place);
    }
    this.counted(tasks.length);
    show(this.empty, !tasks.length && (Boolean(this.is_loaded) || !this.server));
    show(this.further, Boolean(this.feed?.cursor));
  }

  /** The question that is open for the task. @param {string} id */
  #asks(id) {
    return this.questions?.open.find(({ task_id }) => task_id === id)?.text;
  }

  /** @param {Task} task */
  #row(task) {
    const row = new Row(task, (one) => this.#toggle(one), (one, verb) => void this.#act(one, verb), !this.server || Boolean(this.host.isReadOnly));
    this.rows.set(task.id, row);
    return row;
  }

  #tick() {
    const now = this.server?.now() ?? Date.now();
    for (const row of this.rows.values()) if (!isFinal(row.task)) row.paint(row.task, now, this.#asks(row.task.id));
  }

  /** Show the task's card under its row, or put it away. @param {Task} task */
  #toggle(task) {
    const row = this.rows.get(task.id), was_open = this.card?.task.id === task.id;
    this.card?.close();
    this.card?.root.parentElement?.querySelector(".opspawn-open")?.setAttribute("aria-expanded", "false");
    this.card?.root.remove();
    this.card = null;
    if (was_open || !row) return;
    this.card = new Card({ server: this.server, task, host: this.host });
    row.root.append(this.card.root);
    row.name.setAttribute("aria-expanded", "true");
  }

  /** @param {Task} task @param {string} verb */
  async #act(task, verb) {
    say(this.complaint, "");
    try {
      await this.server?.act(task.id, verb);
    } catch (problem) {
      say(this.complaint, /** @type {Error} */ (problem).message);
    }
  }

  async #more() {
    this.further.disabled = true;
    try {
      await this.feed?.more();
      this.changed = null;
      this.paint();
    } catch (problem) {
      say(this.complaint, /** @type {Error} */ (problem).message);
    } finally {
      this.further.disabled = false;
    }
  }
}
