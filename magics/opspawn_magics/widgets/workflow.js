/** A run of a workflow: its graph coloured by state, and its steps on a line of time. */

import { GLYPHS, coalesced, drawn, duration, node, stateWord } from "./dom.js";
import { Runs, byStep, worst } from "./runs.js";
import { Feed, isFinal } from "./tasks.js";

/**
 * @typedef {import("./tasks.js").Task} Task
 * @typedef {import("./server.js").Server} Server
 * @typedef {{ id: string, kind: string, depends_on: string[] }} Step
 * @typedef {{ step: Step, tasks: Task[], state: string }} Shown
 */

const BOX = { width: 150, height: 34, across: 44, down: 14 };
const LINE = { height: 24, left: 170, width: 760, right: 70 };

/** Column and row of each step: the longest way from a source, then near what it depends on.
 * @param {Step[]} steps @returns {Map<string, { column: number, row: number }>} */
export function arranged(steps) {
  /** @type {Map<string, number>} */
  const columns = new Map();
  const left = new Set(steps);
  while (left.size) {
    const ready = [...left].filter((step) => step.depends_on.every((id) => columns.has(id)));
    if (!ready.length) break; // a circle, which the server refuses
    for (const step of ready) {
      columns.set(step.id, Math.max(-1, ...step.depends_on.map((id) => columns.get(id) ?? 0)) + 1);
      left.delete(step);
    }
  }
  /** @type {Map<string, { column: number, row: number }>} */
  const places = new Map();
  for (let column = 0; column <= Math.max(-1, ...columns.values()); column++) {
    const here = steps.filter(({ id }) => columns.get(id) === column);
    const middle = (/** @type {Step} */ { depends_on }) => depends_on.reduce((sum, id) => sum + (places.get(id)?.row ?? 0), 0) / (depends_on.length || 1);
    here.sort((a, b) => middle(a) - middle(b)).forEach(({ id }, row) => places.set(id, { column, row: row - (here.length - 1) / 2 }));
  }
  const top = Math.min(0, ...[...places.values()].map(({ row }) => row));
  for (const place of places.values()) place.row -= top;
  return places;
}

/** @param {string} word @param {number} longest */
const cut = (word, longest) => (word.length > longest ? `${word.slice(0, longest - 1)}…` : word);

export class WorkflowView {
  graph = node("div", { class: "opspawn-scroll", tabindex: 0, role: "group", "aria-label": "Graph of the steps" });
  timeline = node("div", { class: "opspawn-scroll", tabindex: 0, role: "group", "aria-label": "Timeline of the steps" });
  complaint = node("p", { class: "opspawn-quiet", hidden: true });
  /** @type {Step[]} */
  steps = [];
  paint = coalesced(() => this.#paint());

  /** @param {Server} server @param {Task} task */
  constructor(server, task) {
    this.server = server;
    this.task = task;
    this.runs = new Runs(server, task);
    this.root = node(
      "div", { class: "opspawn-workflow" }, this.complaint, this.graph,
      node("details", { class: "opspawn-section", open: true }, node("summary", {}, "Timeline"), this.timeline),
      this.runs.root,
    );
    this.feed = new Feed(server, {
      query: new URLSearchParams({ parent: task.id, limit: "500" }),
      keep: (part) => part.parent_id === task.id,
      changed: () => this.paint(),
      failed: (problem) => this.#complain(problem),
    }).start();
    void this.#readGraph();
  }

  close() {
    this.feed.close();
    this.runs.close();
  }

  /** @param {Task} task  the workflow's own, as it stands now */
  take(task) {
    this.task = task;
    this.paint();
  }

  async #readGraph() {
    try {
      const { steps } = await this.server.request(`workflows/${encodeURIComponent(this.task.id)}`);
      this.steps = steps;
      this.runs.steps = this.steps.map(({ id }) => id);
      this.paint();
    } catch (problem) {
      this.#complain(/** @type {Error} */ (problem));
    }
  }

  /** @param {Error} problem */
  #complain(problem) {
    this.complaint.hidden = false;
    this.complaint.textContent = problem.message;
  }

  /** @returns {Shown[]} */
  #shown() {
    const parts = byStep(this.feed.tasks.values());
    return this.steps.map((step) => {
      const tasks = parts.get(step.id) ?? [];
      return { step, tasks, state: worst(tasks) ?? (isFinal(this.task) ? "not_run" : "pending") };
    });
  }

  #paint() {
    const shown = this.#shown();
    if (!shown.length) return;
    this.graph.replaceChildren(this.#drawGraph(shown));
    this.timeline.replaceChildren(this.#drawTimeline(shown));
  }

  /** @param {Shown[]} shown */
  #drawGraph(shown) {
    const places = arranged(this.steps), all = [...places.values()];
    const x = (/** @type {string} */ id) => 2 + (places.get(id)?.column ?? 0) * (BOX.width + BOX.across);
    const y = (/** @type {string} */ id) => 2 + (places.get(id)?.row ?? 0) * (BOX.height + BOX.down);
    const width = 4 + BOX.width + Math.max(0, ...all.map(({ column }) => column)) * (BOX.width + BOX.across);
    const height = 4 + BOX.height + Math.max(0, ...all.map(({ row }) => row)) * (BOX.height + BOX.down);
    const made = drawn("svg", { class: "opspawn-graph", width, height, viewBox: `0 0 ${width} ${height}`, role: "list", "aria-label": "Steps" });
    for (const { step } of shown) {
      for (const id of step.depends_on) {
        const [ax, ay, bx, by] = [x(id) + BOX.width, y(id) + BOX.height / 2, x(step.id), y(step.id) + BOX.height / 2];
        const bend = (bx - ax) / 2;
        made.append(drawn("path", { class: "opspawn-edge", d: `M${ax},${ay} C${ax + bend},${ay} ${bx - bend},${by} ${bx},${by}` }));
      }
    }
    made.append(...shown.map((one) => this.#box(one, x(one.step.id), y(one.step.id))));
    return made;
  }

  /** @param {Shown} one @param {number} x @param {number} y */
  #box({ step, tasks, state }, x, y) {
    const done = tasks.filter(isFinal).length, of = tasks.length > 1 ? ` ${done}/${tasks.length}` : "";
    const word = `${stateWord(state)}${of}`, said = `${step.id}: ${state.replaceAll("_", " ")}${of}`;
    const box = drawn(
      "g", { class: `opspawn-node opspawn-is-${state}` }, drawn("title", {}, `${said} (${step.kind})`),
      drawn("rect", { x, y, width: BOX.width, height: BOX.height, rx: 6 }),
      drawn("text", { x: x + 10, y: y + 14, class: "opspawn-step" }, cut(step.id, 20)),
      drawn("text", { x: x + 10, y: y + 27, class: "opspawn-word" }, word),
    );
    const task = tasks.find((part) => part.state === state) ?? tasks[0];
    if (!task) return drawn("g", { role: "listitem", "aria-label": said }, box);
    const link = drawn("a", { href: this.server.run(task.id), target: "_blank", "aria-label": said }, box);
    return drawn("g", { role: "listitem" }, link);
  }

  /** Waiting in outline, running filled. @param {Shown[]} shown */
  #drawTimeline(shown) {
    const rows = shown.flatMap(({ tasks }) => tasks), now = this.server.now();
    const begin = Date.parse(this.task.created_at);
    const end = Math.max(begin + 1000, ...rows.map((task) => (task.finished_at ? Date.parse(task.finished_at) : now)));
    const x = (/** @type {number} */ at) => LINE.left + (Math.max(at - begin, 0) / (end - begin)) * (LINE.width - LINE.left - LINE.right);
    const height = rows.length * LINE.height + 22;
    const made = drawn("svg", { class: "opspawn-timeline", width: LINE.width, height, viewBox: `0 0 ${LINE.width} ${height}`, role: "list", "aria-label": "Steps in time" });
    for (let part = 0; part <= 4; part++) {
      const at = begin + ((end - begin) * part) / 4;
      made.append(
        drawn("line", { class: "opspawn-rule", x1: x(at), x2: x(at), y1: 0, y2: height - 20 }),
        drawn("text", { class: "opspawn-mark", x: x(at), y: height - 5, "text-anchor": "middle" }, duration((at - begin) / 1000)),
      );
    }
    made.append(...rows.map((task, row) => this.#line(task, row * LINE.height, x, now)));
    return made;
  }

  /** @param {Task} task @param {number} y @param {(at: number) => number} x @param {number} now */
  #line(task, y, x, now) {
    const created = Date.parse(task.created_at), finished = task.finished_at ? Date.parse(task.finished_at) : now;
    const started = task.started_at ? Date.parse(task.started_at) : finished, spent = (finished - started) / 1000;
    const said = `${task.step}: ${task.state.replaceAll("_", " ")}, waited ${duration((started - created) / 1000)}, ran ${duration(spent)}`;
    return drawn(
      "g", { role: "listitem", class: `opspawn-node opspawn-is-${task.state}`, "aria-label": said }, drawn("title", {}, said),
      drawn("text", { x: 2, y: y + 16, class: "opspawn-name" }, `${GLYPHS[task.state] ?? "•"} ${cut(task.step ?? task.name, 22)}`),
      drawn("rect", { class: "opspawn-wait", x: x(created), y: y + 8, height: 8, width: Math.max(x(started) - x(created), 0) }),
      drawn("rect", { x: x(started), y: y + 4, height: 16, rx: 3, width: Math.max(x(finished) - x(started), 3) }),
      drawn("text", { class: "opspawn-mark", x: x(finished) + 6, y: y + 16 }, duration(spent)),
    );
  }
}
