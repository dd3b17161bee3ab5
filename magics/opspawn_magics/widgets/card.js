/** One task as a card: where it stands, what it says, and what can be done with it. */

import { coalesced, coloured, duration, node, pill, say, setPill, short, show } from "./dom.js";
import { OutputsView, notebookView, sourceOf, tracebackText } from "./outputs.js";
import { Questions } from "./questions.js";
import { verdictOf, verdictView } from "./verdict.js";
import { WorkflowView } from "./workflow.js";
import { Feed, canCancel, canRetry, cellsLine, fraction, isFinal, kindWord, problemLine, runningCell, seconds } from "./tasks.js";

/**
 * @typedef {import("./tasks.js").Task} Task
 * @typedef {import("./server.js").Server} Server
 * @typedef {{
 *   openFile?: (path: string) => void,
 *   isReadOnly?: boolean,
 *   isRunPage?: boolean,
 *   ended?: () => void,
 * }} Host  what the surroundings offer; without ``openFile`` files are links
 */

const LOG_EVERY_MILLISECONDS = 1000;
const LOG_LINES = 400;

/** @param {string} title @param {() => void} opened @param {Node} content */
function section(title, opened, content) {
  const made = node("details", { class: "opspawn-section" }, node("summary", {}, title), content);
  made.addEventListener("toggle", () => made.open && opened());
  return made;
}

export class Card {
  outputs = new OutputsView();
  name = node("strong", { class: "opspawn-name" });
  facts = node("span", { class: "opspawn-facts" });
  link = node("span", { class: "opspawn-link-state" });
  news = node("span", { class: "opspawn-unseen", role: "status", "aria-live": "polite" });
  fill = node("div", { class: "opspawn-fill" });
  bar = node("div", { class: "opspawn-bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 }, this.fill);
  code = node("code");
  note = node("span");
  now = node("div", { class: "opspawn-now" }, this.code, this.note);
  problem = node("div", { class: "opspawn-problem" });
  verdict = node("div", { class: "opspawn-verdict" });
  values = node("dl", { class: "opspawn-values" });
  output_box = section("Output", () => void this.#loadOutput(), this.outputs.root);
  log = node("pre", { class: "opspawn-text opspawn-log", tabindex: 0 });
  log_box = section("Log", () => void this.#readLog(), this.log);
  actions = node("div", { class: "opspawn-actions" });
  complaint = node("div", { class: "opspawn-complaint", role: "alert" });
  /** @type {number | null} */
  usual_seconds = null;
  /** @type {Feed | null} */
  feed = null;
  /** @type {Card | null}  of the retry that was asked for here */
  next = null;
  ticker = 0;
  paint = coalesced(() => this.#paint());

  /** @param {{ server: Server | null, task: Task, host?: Host }} options  without a server: a picture */
  constructor({ server, task, host = {} }) {
    this.server = server;
    this.host = host;
    this.task = task;
    this.pill = pill(task.state);
    this.questions = server && new Questions(server, { task: task.id, isReadOnly: host.isReadOnly });
    this.workflow = server && task.kind === "workflow" && !task.pruned_at ? new WorkflowView(server, task) : null;
    this.root = node(
      "div", { class: "opspawn opspawn-card", role: "group", "aria-label": `Task ${task.name}` },
      node("div", { class: "opspawn-head" }, this.pill, this.name, this.facts, this.link),
      this.questions?.root, this.bar, this.now, this.problem, this.workflow?.root, this.verdict, this.values, this.output_box, this.log_box, this.actions, this.complaint, this.news,
    );
    this.#paint();
    if (server) this.#connect(server, task);
  }

  close() {
    this.feed?.close();
    this.next?.close();
    this.workflow?.close();
    clearInterval(this.ticker);
  }

  /** @param {Server} server @param {Task} task */
  #connect(server, task) {
    this.feed = new Feed(server, {
      id: task.id,
      changed: (next) => { if (next) this.#take(next); },
      question: () => void this.questions?.refresh(),
      output: (event) => { this.outputs.take(event); this.#followOutput(); this.paint(); },
      connection: (state) => this.#say_connection(state),
      failed: (problem) => this.#say_connection("picture", problem.message),
    }).start();
    this.ticker = window.setInterval(() => this.paint(), 1000);
    if (isFinal(task)) return;
    void this.#learnUsual(server);
    // A tool's call may wait for a person while the task runs.
    void this.questions?.refresh();
  }

  /** @param {Task} next */
  #take(next) {
    if (next.state !== this.task.state) say(this.news, `${next.name} is now ${next.state.replaceAll("_", " ")}`);
    const was_final = isFinal(this.task);
    this.task = next;
    this.workflow?.take(next);
    if (isFinal(next)) {
      clearInterval(this.ticker);
      this.feed?.leave();
      if (this.questions) this.questions.root.hidden = true;
      this.#say_connection("");
      if (!was_final) this.host.ended?.();
    }
    this.paint();
  }

  #paint() {
    const task = this.task;
    setPill(this.pill, task.state);
    say(this.name, task.name);
    say(this.facts, this.#factsLine(task));
    this.root.dataset.state = task.state;
    this.#paintBar(task);
    const cell = runningCell(task), at_work = !isFinal(task);
    say(this.code, cell?.title ?? "");
    const fraction_said = task.progress?.fraction == null ? "" : `${Math.round(100 * task.progress.fraction)} %`;
    say(this.note, at_work ? [fraction_said, task.progress?.text].filter(Boolean).join(" ") : "");
    show(this.code, Boolean(cell));
    show(this.now, at_work && Boolean(cell || task.progress));
    this.#paintProblem(task);
    this.#paintValues(task);
    // The page of a run shows the whole notebook, once it is there.
    show(this.output_box, isFinal(task) ? this.#has_notebook(task) && !this.host.isRunPage : !this.outputs.is_empty);
    show(this.log_box, Boolean(this.server) && task.attempt > 0 && !task.pruned_at);
    this.#paintActions(task);
  }

  /** @param {Task} task */
  #has_notebook(task) {
    return Boolean(this.server) && !task.pruned_at && task.attempt > 0 && task.cells.length > 0;
  }

  /** @param {Task} task */
  #factsLine(task) {
    const spent = seconds(task, this.server && this.feed ? this.server.now() : Date.now());
    const is_live = isFinal(task) || this.feed;
    const facts = [
      kindWord(task), short(task.id), cellsLine(task),
      spent !== null && is_live ? duration(spent) : "",
      !isFinal(task) && this.usual_seconds !== null ? `usually ${duration(this.usual_seconds)}` : "",
      task.attempt > 1 ? `attempt ${task.attempt}` : "",
      task.cancel_requested && !isFinal(task) ? "cancelling" : "",
      task.state === "retrying" && task.retry_at ? `next try at ${new Date(task.retry_at).toLocaleTimeString()}` : "",
    ];
    return facts.filter(Boolean).join(" · ");
  }

  /** @param {Task} task */
  #paintBar(task) {
    const done = fraction(task);
    show(this.bar, done !== null);
    if (done === null) return;
    const percent = Math.round(100 * done);
    this.fill.style.width = `${percent}%`;
    this.bar.setAttribute("aria-valuenow", String(percent));
    this.bar.setAttribute("aria-label", `Progress of ${task.name}`);
    this.bar.setAttribute("aria-valuetext", cellsLine(task) || `${percent} %`);
  }

  /** The failing cell comes first, opened. @param {Task} task */
  #paintProblem(task) {
    const key = task.error ? `${task.attempt}:${task.error.name}:${task.error.message}` : "";
    if (this.problem.dataset.key === key) return;
    this.problem.dataset.key = key;
    show(this.problem, Boolean(task.error));
    if (!task.error) return this.problem.replaceChildren();
    const cell = task.cells.find(({ index }) => index === task.error?.cell_index);
    const traceback = tracebackText(task.error.traceback), source = node("pre", { class: "opspawn-source", tabindex: 0 }, cell?.title ?? "");
    if (cell && this.#has_notebook(task)) void this.#readSource(cell, source);
    this.problem.replaceChildren(
      node("div", { class: "opspawn-what" }, problemLine(task)),
      ...(cell?.title ? [source] : []),
      ...(traceback ? [node(
        "details", { class: "opspawn-section", open: true }, node("summary", {}, "Traceback"),
        node("pre", { class: "opspawn-text opspawn-traceback", tabindex: 0 }, coloured(traceback)),
      )] : []),
    );
  }

  /** The whole of the cell whose first line is shown. @param {import("./tasks.js").Cell} cell @param {HTMLElement} shown */
  async #readSource(cell, shown) {
    try {
      const { cells } = await /** @type {Server} */ (this.server).request(`tasks/${this.task.id}/notebook`);
      const source = sourceOf(cells.find((/** @type {any} */ { id }) => id === cell.id) ?? cells[cell.index]);
      if (source) say(shown, source);
    } catch {
      return; // its first line stands there
    }
  }

  /** @param {Task} task */
  #paintValues(task) {
    const key = JSON.stringify(task.outputs);
    if (this.values.dataset.key === key) return;
    this.values.dataset.key = key;
    const verdict = verdictOf(task);
    this.verdict.replaceChildren(...(verdict ? verdictView(verdict, this.#link(`${task.run_directory}/artifacts/report.html`, "Report")) : []));
    show(this.verdict, verdict !== null);
    const { headline, lights, reasons, ...others } = task.outputs;
    const rows = Object.entries(verdict ? others : task.outputs).map(([name, value]) => {
      const said = typeof value === "string" ? value : JSON.stringify(value);
      return node("div", {}, node("dt", {}, name), node("dd", { title: said.slice(0, 1000) }, said.slice(0, 200)));
    });
    this.values.replaceChildren(...rows);
    show(this.values, rows.length > 0);
  }

  /** @param {Task} task */
  #paintActions(task) {
    const key = [task.state, task.cancel_requested, task.kept_kernel?.id, task.attempt > 0, this.server !== null].join();
    if (this.actions.dataset.key === key) return;
    this.actions.dataset.key = key;
    const had_focus = this.actions.contains(document.activeElement);
    const may_act = this.server && !this.host.isReadOnly;
    this.actions.replaceChildren(...[
      may_act && canCancel(task) && this.#button("Cancel", () => this.#act("cancel")),
      may_act && canRetry(task) && this.workflow && this.#button("Repair", () => this.#act("rerun")),
      may_act && canRetry(task) && this.#button("Retry", () => this.#act("retry")),
      isFinal(task) && this.#has_notebook(task) && this.#fileLink(task),
      this.server && !this.host.isRunPage && node("a", { class: "opspawn-button", href: this.server.run(task.id), target: "_blank", rel: "noopener" }, "Run page"),
    ].filter((child) => child instanceof Node));
    if (had_focus) /** @type {HTMLElement | null} */ (this.actions.querySelector("button, a"))?.focus();
  }

  /** @param {string} word @param {() => void} onclick */
  #button(word, onclick) {
    return node("button", { class: "opspawn-button", type: "button", "aria-label": `${word} ${this.task.name}`, onclick }, word);
  }

  /** @param {Task} task */
  #fileLink(task) {
    const is_kept = task.kept_kernel && Date.parse(task.kept_kernel.expires_at) > Date.now();
    return this.#link(`${task.run_directory}/output.ipynb`, is_kept ? "Open with its kernel" : "Open notebook");
  }

  /** A file of the run's. Without a server there is none. @param {string} path @param {string} word */
  #link(path, word) {
    const onclick = (/** @type {Event} */ event) => {
      if (!this.host.openFile) return;
      event.preventDefault();
      this.host.openFile(path);
    };
    const href = this.server?.file(path);
    return node("a", { class: "opspawn-button", href, target: "_blank", rel: "noopener", onclick }, word);
  }

  /** @param {string} verb */
  async #act(verb) {
    const server = /** @type {Server} */ (this.server);
    say(this.complaint, "");
    try {
      const answer = await server.act(this.task.id, verb);
      if (verb !== "cancel") this.#showRetry(server, answer);
      else if (answer.seq > this.task.seq) this.#take(answer);
    } catch (problem) {
      say(this.complaint, /** @type {Error} */ (problem).message);
    }
  }

  /** A retry is a task of its own; its card stands below. @param {Server} server @param {Task} task */
  #showRetry(server, task) {
    this.next?.close();
    this.next?.root.remove();
    this.next = new Card({ server, task, host: { ...this.host, isRunPage: false, ended: undefined } });
    this.root.after(this.next.root);
  }

  /** What the last success of this name took. @param {Server} server */
  async #learnUsual(server) {
    const query = new URLSearchParams({ state: "success", name: this.task.name, limit: "5", sort: "-finished_at" });
    try {
      const { tasks } = await server.request(`tasks?${query}`);
      const same = tasks.find((/** @type {Task} */ task) => task.name === this.task.name && task.kind === this.task.kind);
      this.usual_seconds = same ? seconds(same, 0) : null;
      this.paint();
    } catch {
      this.usual_seconds = null; // an estimate is worth no complaint
    }
  }

  #followOutput() {
    if (this.output_box.open || this.output_box.dataset.opened) return;
    this.output_box.dataset.opened = "true";
    this.output_box.open = true;
  }

  /** Of a task that ended before anybody listened. */
  async #loadOutput() {
    if (!this.outputs.is_empty || !isFinal(this.task) || !this.server) return;
    try {
      const notebook = await this.server.request(`tasks/${this.task.id}/notebook`);
      if (this.outputs.is_empty) this.outputs.root.append(notebookView(notebook, this.task));
    } catch (problem) {
      say(this.outputs.root, /** @type {Error} */ (problem).message);
    }
  }

  async #readLog() {
    if (!this.server) return;
    try {
      const part = await this.server.request(`tasks/${this.task.id}/logs?tail=${LOG_LINES}`);
      const is_at_end = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 4;
      say(this.log, part.text || "nothing yet");
      if (is_at_end) this.log.scrollTop = this.log.scrollHeight;
      if (!part.finished && this.log_box.open && this.root.isConnected) {
        setTimeout(() => void this.#readLog(), LOG_EVERY_MILLISECONDS);
      }
    } catch (problem) {
      say(this.log, /** @type {Error} */ (problem).message);
    }
  }

  /** @param {string} state @param {string} [why] */
  #say_connection(state, why = "") {
    if (isFinal(this.task) && state !== "picture") state = "";
    this.link.dataset.state = state;
    say(this.link, state === "live" ? "● live" : state === "reconnecting" ? "○ reconnecting" : state);
    this.link.title = why || (state === "reconnecting" ? "the server does not answer; trying again" : "");
    if (state === "picture") say(this.link, "as it was when this was saved");
  }
}
