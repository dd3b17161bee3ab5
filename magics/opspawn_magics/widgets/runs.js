/** Earlier runs of a workflow: what became of each step in each of them, and what differs between two. */

import { GLYPHS, duration, node, say, short } from "./dom.js";

/**
 * @typedef {import("./tasks.js").Task} Task
 * @typedef {import("./server.js").Server} Server
 * @typedef {Record<string, [unknown, unknown]>} Values
 * @typedef {{ states: [string, string], durations_seconds: [number | null, number | null], parameters: Values, outputs: Values, source: string[] }} Difference
 * @typedef {Difference & { ids: [string, string], steps: (Difference & { step: string })[] }} Comparison
 */

const MOST_RUNS = 10;
const READ_AFTER_MILLISECONDS = 400;
const SHORT = /** @type {const} */ ({ month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
/** Of several tasks of one step, the one to know about first. */
const WORST_FIRST = ["failed", "crashed", "timed_out", "waiting", "running", "retrying", "queued", "cancelled", "pending", "skipped", "success"];

/** @param {Task[]} tasks */
export const worst = (tasks) => WORST_FIRST.find((one) => tasks.some(({ state }) => state === one));

/** A workflow's parts by step, each in the order of their making. @param {Iterable<Task>} parts */
export function byStep(parts) {
  /** @type {Map<string, Task[]>} */
  const found = new Map();
  for (const part of [...parts].sort((a, b) => (a.created_at < b.created_at ? -1 : 1))) {
    const id = (part.step ?? "").replace(/\[\d+\]$/, "");
    found.set(id, [...(found.get(id) ?? []), part]);
  }
  return found;
}

/** @param {string} state */
const plain = (state) => state.replaceAll("_", " ");

/** They stay true while they are looked at. */
export class Runs {
  /** @type {Map<string, { task: Task, parts: Task[] }>}  by the run's id, oldest first */
  runs = new Map();
  /** @type {Set<string>}  runs of which something was told since they were read */
  stale = new Set();
  /** Steps in the order of the graph.
   * @type {string[]} */
  steps = [];
  timer = 0;
  leave = () => {};
  grid = node("div", { class: "opspawn-scroll", tabindex: 0, role: "group", "aria-label": "Earlier runs by step" });
  difference = node("div", { "aria-live": "polite" });
  complaint = node("div", { class: "opspawn-complaint", role: "alert" });
  root = node("details", { class: "opspawn-section" }, node("summary", {}, "Runs"), this.grid, this.complaint, this.difference);

  /** @param {Server} server @param {Task} task */
  constructor(server, task) {
    this.server = server;
    this.task = task;
    this.root.addEventListener("toggle", () => (this.root.open ? this.#follow() : this.close()));
  }

  close() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.leave();
  }

  #follow() {
    this.leave();
    const leave = this.server.stream().listen({
      event: (event) => this.#note(event),
      reset: () => void this.#try(() => this.#read()),
      connection: () => {},
    });
    this.leave = () => { leave(); this.leave = () => {}; };
    if (!this.server.stream().is_live) void this.#try(() => this.#read());
  }

  /** @param {import("./server.js").TaskEvent} event */
  #note({ type, task_id }) {
    if (!type.startsWith("task.")) return;
    const found = [...this.runs.values()].find(({ task, parts }) => task.id === task_id || parts.some(({ id }) => id === task_id));
    // A new one may be a run, or a part of one that is shown.
    if (!found && type !== "task.submitted") return;
    if (found) this.stale.add(found.task.id);
    else this.stale = new Set(["", ...this.runs.keys()]);
    this.timer ||= window.setTimeout(() => void this.#try(() => this.#readStale()), READ_AFTER_MILLISECONDS);
  }

  async #readStale() {
    const ids = [...this.stale];
    this.stale.clear();
    this.timer = 0;
    if (ids.includes("")) return this.#read();
    await Promise.all(ids.map(async (id) => this.runs.set(id, await this.#run(await this.server.task(id)))));
    this.#paint();
  }

  /** @param {Task} task */
  async #run(task) {
    const { tasks } = await this.server.request(`tasks?${new URLSearchParams({ parent: task.id, limit: "500" })}`);
    return { task, parts: /** @type {Task[]} */ (tasks) };
  }

  #paint() {
    const runs = [...this.runs.values()], had_focus = this.grid.contains(document.activeElement) && document.activeElement?.getAttribute("aria-label");
    this.grid.replaceChildren(this.#table(runs.map(({ task }) => task), runs.map(({ parts }) => byStep(parts))));
    if (had_focus) /** @type {HTMLElement | null} */ (this.grid.querySelector(`[aria-label="${CSS.escape(had_focus)}"]`))?.focus();
  }

  /** @param {() => Promise<void>} act */
  async #try(act) {
    say(this.complaint, "");
    try {
      await act();
    } catch (problem) {
      say(this.complaint, /** @type {Error} */ (problem).message);
    }
  }

  async #read() {
    const { name } = this.task, query = new URLSearchParams({ kind: "workflow", name, limit: "100" });
    /** @type {{ tasks: Task[] }} */
    const { tasks } = await this.server.request(`tasks?${query}`);
    // The server is asked by the beginning of a name.
    const runs = tasks.filter((task) => task.name === name).slice(0, MOST_RUNS).reverse();
    if (!runs.some(({ id }) => id === this.task.id)) runs.unshift(this.task);
    const found = await Promise.all(runs.map((run) => this.#run(run)));
    this.runs = new Map(found.map((run) => [run.task.id, run]));
    this.#paint();
  }

  /** Oldest on the left. @param {Task[]} runs @param {Map<string, Task[]>[]} parts */
  #table(runs, parts) {
    const steps = new Set([...this.steps, ...[...parts].reverse().flatMap((part) => [...part.keys()])]);
    const row = (/** @type {string} */ step) => node(
      "tr", {}, node("th", { scope: "row" }, step),
      ...parts.map((part) => node("td", {}, this.#mark(step, part.get(step) ?? []))),
    );
    const heads = runs.map((run) => node(
      "th", { scope: "col", "aria-current": run.id === this.task.id }, this.#mark("run", [run]),
      node("time", { datetime: run.created_at, title: run.created_at }, new Date(run.created_at).toLocaleString([], SHORT)),
      node("small", {}, run.id === this.task.id ? "this run" : short(run.id)),
    ));
    const others = runs.map((run) => node("td", {}, run.id !== this.task.id && this.#comparer(run)));
    return node(
      "table", { class: "opspawn-grid" }, node("thead", {}, node("tr", {}, node("td"), ...heads)),
      node("tbody", {}, ...[...steps].map(row), node("tr", {}, node("td"), ...others)),
    );
  }

  /** @param {string} step @param {Task[]} tasks */
  #mark(step, tasks) {
    const state = worst(tasks), task = tasks.find((one) => one.state === state);
    if (!state || !task) return node("span", { class: "opspawn-quiet", title: `${step}: not run` }, "· ", node("span", { class: "opspawn-unseen" }, "not run"));
    const said = `${step}: ${plain(state)}`;
    return node("a", { class: `opspawn-pill opspawn-is-${state}`, href: this.server.run(task.id), target: "_blank", title: said, "aria-label": said }, GLYPHS[state] ?? "•");
  }

  /** @param {Task} run */
  #comparer(run) {
    const ids = [run, this.task].sort((a, b) => (a.created_at < b.created_at ? -1 : 1)).map(({ id }) => encodeURIComponent(id));
    const onclick = () => void this.#try(async () => {
      this.difference.replaceChildren(compared(await this.server.request(`workflows/${ids[0]}/compare/${ids[1]}`)));
    });
    return node("button", { class: "opspawn-button", type: "button", "aria-label": `Compare with ${short(run.id)}`, onclick }, "Compare");
  }
}

/** What the second of two runs did differently. @param {Comparison} comparison */
function compared(comparison) {
  const { ids, steps } = comparison;
  const rows = [{ ...comparison, step: "run" }, ...steps].map(({ step, states: [before, after], durations_seconds }) => node(
    "tr", {}, node("th", { scope: "row" }, step),
    node("td", {}, before === after ? plain(after) : `${plain(before)} → ${plain(after)}`),
    node("td", {}, durations_seconds.map((spent) => (spent === null ? "none" : duration(spent))).join(" → ")),
  ));
  return node(
    "div", { role: "group", "aria-label": "What differs" },
    node("div", {}, node("strong", {}, `${short(ids[0])} → ${short(ids[1])}`)),
    node("table", { class: "opspawn-grid" }, node("tbody", {}, ...rows)),
    ...changes("workflow", comparison), ...steps.flatMap((step) => changes(step.step, step)),
  );
}

/** @param {string} title @param {Difference} difference */
function changes(title, { parameters, outputs, source }) {
  const said = (/** @type {unknown} */ value) => (value == null ? "none" : JSON.stringify(value).slice(0, 200));
  const values = [...Object.entries(parameters), ...Object.entries(outputs)].map(([name, [before, after]]) => node(
    "div", {}, node("dt", {}, name), node("dd", {}, `${said(before)} → ${said(after)}`),
  ));
  const lines = source.map((line) => node("span", { class: line.startsWith("+") ? "opspawn-ansi-2" : line.startsWith("-") ? "opspawn-ansi-1" : "" }, `${line}\n`));
  if (!values.length && !lines.length) return [];
  return [
    node("div", { class: "opspawn-asked" }, title), node("dl", { class: "opspawn-values" }, ...values),
    lines.length > 0 && node("pre", { class: "opspawn-text opspawn-log", tabindex: 0 }, ...lines),
  ];
}
