/**
 * Tasks as this page knows them: read once, then kept true by events.
 *
 * What a running notebook does is applied as it is told, because it comes often. Whatever changes
 * a state is read from the server anew, so that there is no second table of transitions here.
 */

/**
 * @typedef {{ index: number, id: string | null, state: string, title: string, duration_seconds: number | null }} Cell
 * @typedef {{ name: string, message: string, traceback: string[], cell_index: number | null }} Problem
 * @typedef {{
 *   id: string, kind: string, name: string, state: string, seq: number, attempt: number,
 *   spec: any, policy?: any, labels?: Record<string, string>, run_directory: string, retry_of?: string | null,
 *   parent_id?: string | null, step?: string | null, created_at: string, started_at: string | null, finished_at: string | null,
 *   cancel_requested: boolean, cells: Cell[], outputs: Record<string, any>,
 *   progress: { fraction: number | null, text: string } | null, error: Problem | null,
 *   kept_kernel: { id: string, expires_at: string } | null, retry_at?: string | null, pruned_at?: string | null,
 * }} Task
 * @typedef {import("./server.js").Server} Server
 * @typedef {import("./server.js").TaskEvent} TaskEvent
 */

const FINAL = new Set(["success", "failed", "timed_out", "crashed", "cancelled", "skipped"]);
const UNSUCCESSFUL = new Set(["failed", "timed_out", "crashed", "cancelled"]);
const KIND_GLYPHS = /** @type {Record<string, string>} */ ({ agent: "✦", workflow: "⇶" });
const UNDONE = new Set(["not_run", "running"]);
/** Above this many changed tasks it is cheaper to read the page anew. */
const MOST_SINGLE_READS = 8;
const READ_AFTER_MILLISECONDS = 30;
const READ_MANY_AFTER_MILLISECONDS = 250;

/** @param {Task} task */
export const isFinal = (task) => FINAL.has(task.state);
/** @param {Task} task */
export const canCancel = (task) => !isFinal(task) && !task.cancel_requested;
/** @param {Task} task */
export const canRetry = (task) => UNSUCCESSFUL.has(task.state);
/** @param {Task} task */
export const cellsDone = (task) => task.cells.filter((cell) => !UNDONE.has(cell.state)).length;
/** @param {Task} task */
export const runningCell = (task) => task.cells.find((cell) => cell.state === "running");

/** Whether cells are added while it runs, so that nobody knows of how many. @param {Task} task */
const isGrowing = (task) => task.kind === "agent" && !isFinal(task);

/** From 0 to 1; null where nothing tells. @param {Task} task */
export function fraction(task) {
  if (task.state === "success") return 1;
  if (!task.cells.length || isGrowing(task)) return task.progress?.fraction ?? null;
  const within = runningCell(task) ? task.progress?.fraction ?? 0 : 0;
  return (cellsDone(task) + within) / task.cells.length;
}

/** ``cell 3 of 5`` at work, ``cells 5 of 5`` at the end; ``cell 3`` where more may come. @param {Task} task */
export function cellsLine(task) {
  if (!task.cells.length) return "";
  if (isGrowing(task)) return `cell ${task.cells.length}`;
  const running = runningCell(task);
  return running
    ? `cell ${task.cells.indexOf(running) + 1} of ${task.cells.length}`
    : `cells ${cellsDone(task)} of ${task.cells.length}`;
}

/** How long it ran, or runs so far; null before its start. @param {Task} task @param {number} now */
export function seconds(task, now) {
  if (!task.started_at) return null;
  return ((task.finished_at ? Date.parse(task.finished_at) : now) - Date.parse(task.started_at)) / 1000;
}

/** What kind of task it is, as glyph and word; a notebook says nothing. @param {Task} task */
export const kindWord = ({ kind }) => (kind === "notebook" ? "" : `${KIND_GLYPHS[kind] ?? ""} ${kind.replaceAll("_", " ")}`.trim());

/** Why it did not succeed, on one line. @param {Task} task */
export function problemLine(task) {
  const error = task.error;
  if (!error) return "";
  const said = error.message.replace(/\x1b\[[0-9;]*m/g, "").split(/\s+/).join(" ").trim();
  const what = error.name === task.state || said.startsWith(`${error.name}:`) ? said : `${error.name}: ${said}`;
  const place = task.cells.findIndex((cell) => cell.index === error.cell_index);
  return place < 0 ? what : `cell ${place + 1} of ${task.cells.length}: ${what}`;
}

/** @type {Record<string, (task: Task, data: any) => void>} */
const CHANGES = {
  "cells.planned": (task, data) => {
    const fresh = { id: null, state: "not_run", title: "", duration_seconds: null };
    task.cells = data.cells.map((/** @type {any} */ cell) => ({ ...fresh, ...cell }));
  },
  "cell.started": (task, data) => changeCell(task, data.index, { state: "running" }),
  "cell.finished": (task, data) => changeCell(task, data.index, data),
  "step.output": (task, data) => { task.outputs = { ...task.outputs, [data.name]: data.value }; },
  "step.progress": (task, data) => { task.progress = data; },
  "kernel.kept": (task, data) => { task.kept_kernel = data; },
};

/** @param {Task} task @param {number} index @param {Partial<Cell>} changes */
function changeCell(task, index, changes) {
  task.cells = task.cells.map((cell) => (cell.index === index ? { ...cell, ...changes } : cell));
}

/** The task after the event; null where it has to be read anew.
 * @param {Task} task @param {TaskEvent} event @returns {Task | null} */
export function advanced(task, event) {
  if (event.type.startsWith("task.")) return null;
  const change = CHANGES[event.type];
  if (!change) return task;
  const next = { ...task, seq: event.seq };
  change(next, event.data);
  return next;
}

/**
 * A set of tasks that stays true. Without ``id`` it is the first pages of a listing.
 */
export class Feed {
  /**
   * @param {Server} server
   * @param {{
   *   id?: string, query?: URLSearchParams,
   *   changed: (task: Task | null) => void,
   *   keep?: (task: Task) => boolean,
   *   output?: (event: TaskEvent) => void,
   *   question?: () => void,
   *   connection?: (state: string) => void,
   *   failed?: (problem: Error) => void,
   * }} options  ``changed`` without a task: any of them may have;
   *   ``keep``: whether one that was just submitted belongs to the set
   */
  constructor(server, { id, query = new URLSearchParams(), changed, keep = () => true, output, question, connection, failed }) {
    this.server = server;
    this.id = id;
    this.query = query;
    this.changed = changed;
    this.keep = keep;
    this.output = output ?? (() => {});
    this.question = question ?? (() => {});
    this.connection = connection ?? (() => {});
    this.failed = failed ?? (() => {});
    /** @type {Map<string, Task>} */
    this.tasks = new Map();
    /** @type {string | null} */
    this.cursor = null;
    /** @type {Set<string>} */
    this.stale = new Set();
    /** Tasks that are being read, with what was told of them meanwhile.
     * @type {Map<string, TaskEvent[]>} */
    this.reading = new Map();
    this.timer = 0;
    /** @type {() => void} */
    this.leave = () => {};
    this.is_closed = false;
  }

  start() {
    const stream = this.server.stream(this.id ? { task: this.id, after: 0 } : {});
    this.leave = stream.listen({
      event: (event) => this.#take(event),
      reset: () => void this.reload(),
      connection: (state) => this.connection(state),
    });
    if (this.id) void this.reload();
    return this;
  }

  close() {
    this.is_closed = true;
    clearTimeout(this.timer);
    this.leave();
  }

  /** Read everything anew. */
  async reload() {
    if (this.id) return this.#read(this.id);
    const until = Math.max(this.tasks.size, 1);
    /** @type {Map<string, Task>} */
    const found = new Map();
    let cursor = null;
    try {
      do cursor = await this.#page(cursor, found); while (cursor && found.size < until);
    } catch (problem) {
      return this.failed(/** @type {Error} */ (problem));
    }
    if (this.is_closed) return;
    for (const [id, task] of found) {
      const known = this.tasks.get(id);
      if (known && known.seq > task.seq) found.set(id, known);
    }
    [this.tasks, this.cursor] = [found, cursor];
    this.changed(null);
  }

  /** Read the next page of the listing: ``tasks`` and ``cursor`` have it then. */
  async more() {
    if (!this.cursor) return;
    this.cursor = await this.#page(this.cursor, this.tasks);
  }

  /** @param {string | null} cursor @param {Map<string, Task>} into @returns {Promise<string | null>} */
  async #page(cursor, into) {
    const query = new URLSearchParams(this.query);
    if (cursor) query.set("cursor", cursor);
    const page = await this.server.request(`tasks?${query}`);
    for (const task of page.tasks) into.set(task.id, task);
    return page.next_cursor;
  }

  /** @param {TaskEvent} event */
  #take(event) {
    if (event.type === "cell.output" || event.type === "step.log") this.output(event);
    if (event.type.startsWith("question.")) this.question();
    if (event.type === "cell.output" || !event.task_id) return;
    const meanwhile = this.reading.get(event.task_id);
    if (meanwhile) return void meanwhile.push(event);
    const task = this.tasks.get(event.task_id);
    if (task && event.seq <= task.seq) return;
    if (!task && !this.id && event.type !== "task.submitted") return;
    const next = task && advanced(task, event);
    if (!next) this.#readSoon(event.task_id);
    else if (next !== task) {
      this.tasks.set(next.id, next);
      this.changed(next);
    }
  }

  /** @param {string} id */
  #readSoon(id) {
    this.stale.add(id);
    if (!this.reading.has(id)) this.reading.set(id, []);
    if (this.timer) return;
    const pause = this.stale.size > 1 ? READ_MANY_AFTER_MILLISECONDS : READ_AFTER_MILLISECONDS;
    this.timer = window.setTimeout(() => this.#readStale(), pause);
  }

  async #readStale() {
    const ids = [...this.stale];
    this.stale.clear();
    if (ids.length > MOST_SINGLE_READS) {
      await this.reload();
      for (const id of ids) this.#catchUp(id);
    } else await Promise.all(ids.map((id) => this.#read(id)));
    this.timer = 0;
    const [waiting] = this.stale;
    if (waiting && !this.is_closed) this.#readSoon(waiting);
  }

  /** @param {string} id */
  async #read(id) {
    if (!this.reading.has(id)) this.reading.set(id, []);
    try {
      /** @type {Task} */
      const task = await this.server.task(id);
      const known = this.tasks.get(id);
      if (this.is_closed || (known ? known.seq > task.seq : !this.keep(task))) return;
      this.tasks.set(id, task);
    } catch (problem) {
      this.failed(/** @type {Error} */ (problem));
    } finally {
      this.#catchUp(id);
    }
  }

  /** Apply what was told while the task was read. @param {string} id */
  #catchUp(id) {
    const meanwhile = this.reading.get(id) ?? [];
    this.reading.delete(id);
    let task = this.tasks.get(id);
    if (!task || this.is_closed) return;
    for (const event of meanwhile.filter(({ seq }) => seq > /** @type {Task} */ (task).seq)) {
      const next = advanced(task, event);
      if (!next) {
        this.#readSoon(id);
        break;
      }
      task = next;
    }
    this.tasks.set(id, task);
    this.changed(task);
  }
}
