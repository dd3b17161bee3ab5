/**
 * The Jupyter server as it is reached through a kernel: where a page comes from another place than the
 * server, as in VS Code and Colab, the widget's comm is the only way.
 *
 * What the kernel tells comes also while it computes, because it is told from a thread of its own. What
 * the page asks waits until the kernel is free, as every message to it does; so the state of the task
 * that the widget is about is told unasked.
 */

import { Refused, Server } from "./server.js";

/**
 * @typedef {import("./server.js").Events} Events
 * @typedef {import("./server.js").Listener} Listener
 * @typedef {import("./tasks.js").Task} Task
 * @typedef {{
 *   get: (name: string) => any, send: (content: any) => void,
 *   on: (name: string, take: (content: any) => void) => void, off: (name: string, take: (content: any) => void) => void,
 * }} Model  of a widget
 */

export class KernelServer extends Server {
  number = 0;
  /** @type {Map<number, { done: (said: any) => void, refused: (problem: Error) => void }>} */
  waiting = new Map();
  /** @type {Set<KernelStream>} */
  streams = new Set();

  /** @param {Model} model */
  constructor(model) {
    super({ baseUrl: model.get("server_url") });
    this.model = model;
    this.take = this.take.bind(this);
    this.told = this.told.bind(this);
    model.on("msg:custom", this.take);
    model.on("change:panel", this.told);
  }

  close() {
    this.model.off("msg:custom", this.take);
    this.model.off("change:panel", this.told);
  }

  /** @param {string} path @param {{ method?: string, body?: unknown }} [options] @returns {Promise<any>} */
  request(path, { method = "GET", body } = {}) {
    const known = this.#known();
    if (method === "GET" && known && path === `tasks/${known.id}`) return Promise.resolve(known);
    const id = ++this.number;
    return new Promise((done, refused) => {
      this.waiting.set(id, { done, refused });
      this.model.send({ do: "request", id, method, path, body: body ?? null });
    });
  }

  /** The task as the kernel told it last. @returns {Task | undefined} */
  #known() {
    return this.model.get("is_followed") ? this.model.get("panel").task : undefined;
  }

  /** @param {{ task?: string, after?: number }} [options] */
  stream(options = {}) {
    if (options.task) return new KernelStream(this, ++this.number, options);
    this.all ??= new KernelStream(this, ++this.number, options);
    return this.all;
  }

  /** @param {any} said */
  take(said) {
    if (said.about === "events") {
      for (const stream of this.streams) if (stream.id === said.id) stream.take(said);
      return;
    }
    const asked = this.waiting.get(said.id);
    this.waiting.delete(said.id);
    if (said.now) this.ahead_milliseconds = Date.parse(said.now) - Date.now();
    if (said.problem) asked?.refused(new Refused(said.problem, 0));
    else asked?.done(said.answer);
  }

  told() {
    const task = this.#known();
    if (task) for (const stream of this.streams) stream.changed(task);
  }
}

/** @implements {Events} */
class KernelStream {
  /** @type {Set<Listener>} */
  listeners = new Set();
  is_live = false;

  /** @param {KernelServer} server @param {number} id @param {{ task?: string, after?: number }} options */
  constructor(server, id, { task, after }) {
    this.server = server;
    this.id = id;
    this.task = task;
    this.after = after;
  }

  /** @param {Listener} listener */
  listen(listener) {
    this.listeners.add(listener);
    if (this.listeners.size === 1) {
      this.server.streams.add(this);
      this.server.model.send({ do: "listen", id: this.id, task: this.task ?? null, after: this.after ?? null });
    }
    if (this.is_live || this.task) queueMicrotask(() => listener.connection("live"));
    if (this.is_live) listener.reset();
    return () => {
      this.listeners.delete(listener);
      if (!this.listeners.size) this.#leave();
    };
  }

  #leave() {
    this.server.streams.delete(this);
    this.is_live = false;
    this.server.model.send({ do: "leave", id: this.id });
  }

  /** @param {any} said */
  take({ event, connection }) {
    for (const listener of this.listeners) {
      if (event) listener.event(event);
      if (connection) listener.connection(connection);
      if (connection === "live" && !this.is_live) listener.reset();
    }
    if (connection) this.is_live = connection === "live";
  }

  /** The kernel told the task itself; whoever follows it reads it anew. @param {Task} task */
  changed(task) {
    const event = { type: "task.told", task_id: task.id, seq: task.seq, at: "", attempt: task.attempt, data: {} };
    if (this.task === task.id) for (const listener of this.listeners) listener.event(event);
  }
}
