/**
 * The Jupyter server as the browser reaches it: requests over REST, events over a websocket.
 *
 * The kernel is not on this way, so it works while the kernel is busy and when it is gone. Jupyter
 * wants its XSRF cookie repeated in a header; JupyterHub wants that for reading also.
 */

const API = "opspawn/api/v1/";
const LONGEST_PAUSE_MILLISECONDS = 15_000;

/** What the server said, in its own words. */
export class Refused extends Error {
  /** @param {string} message @param {number} status */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** @param {string} name */
function cookie(name) {
  const found = document.cookie.match(`(?:^|; *)${name}=([^;]*)`);
  return found ? decodeURIComponent(found[1]) : "";
}

/** @param {string} url */
const withSlash = (url) => (url.endsWith("/") ? url : `${url}/`);

export class Server {
  /** @param {{ baseUrl: string, wsUrl?: string, token?: string }} settings */
  constructor({ baseUrl, wsUrl = "", token = "" }) {
    this.base = withSlash(new URL(baseUrl, location.href).href);
    this.sockets = withSlash(wsUrl || this.base.replace(/^http/, "ws"));
    this.token = token;
    /** What the server's clock is ahead of ours. */
    this.ahead_milliseconds = 0;
    /** @type {Events | null} */
    this.all = null;
  }

  /** The server that this page came from; null where a page came from none.
   * @param {Document} [page] */
  static ofPage(page = document) {
    const told = page.getElementById("jupyter-config-data")?.textContent;
    const configuration = told ? JSON.parse(told) : {};
    const baseUrl = configuration.baseUrl ?? page.body?.dataset.baseUrl;
    return baseUrl ? new Server({ baseUrl, wsUrl: configuration.wsUrl }) : null;
  }

  /** Address of one of the server's pages. @param {string} path  from the base URL */
  page(path) {
    return this.base + path;
  }

  /** Where JupyterLab shows a file. @param {string} path  from the server's root */
  file(path) {
    return this.page(`lab/tree/${path.split("/").map(encodeURIComponent).join("/")}`);
  }

  /** Address of a run's own page. @param {string} id */
  run(id) {
    return this.page(`opspawn/runs/${encodeURIComponent(id)}`);
  }

  /** Address of a REST route. @param {string} path */
  api(path) {
    return this.page(API + path);
  }

  /** A file below the server's root, as Jupyter's contents API gives it. @param {string} path  quoted */
  contents(path) {
    return this.#get(`api/contents/${path}?type=file&format=text&content=1`);
  }

  /** Milliseconds since the epoch, by the server's clock. */
  now() {
    return Date.now() + this.ahead_milliseconds;
  }

  /**
   * One request; its JSON. Throws ``Refused`` with the server's own sentence.
   * @param {string} path @param {{ method?: string, body?: unknown }} [options]
   */
  request(path, options = {}) {
    return this.#get(API + path, options);
  }

  /** @param {string} path @param {{ method?: string, body?: unknown }} [options] */
  async #get(path, { method = "GET", body } = {}) {
    const headers = new Headers({ "X-XSRFToken": cookie("_xsrf") });
    if (this.token) headers.set("Authorization", `token ${this.token}`);
    if (body !== undefined) headers.set("Content-Type", "application/json");
    const answer = await fetch(this.base + path, {
      method, headers, credentials: "same-origin", cache: "no-store",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const date = Date.parse(answer.headers.get("Date") ?? "");
    if (Math.abs(date - this.now()) > 2000) this.ahead_milliseconds = date - Date.now();
    const said = await answer.json().catch(() => null);
    if (!answer.ok) throw new Refused(said?.message ?? `the server answered ${answer.status}`, answer.status);
    return said;
  }

  /** @param {string} id */
  task(id) {
    return this.request(`tasks/${encodeURIComponent(id)}`);
  }

  /** ``cancel``, ``retry`` or, of a workflow, ``rerun``: what did not succeed, and what follows it.
   * @param {string} id @param {string} verb */
  act(id, verb) {
    if (verb === "rerun") return this.request(`workflows/${encodeURIComponent(id)}/rerun`, { method: "POST", body: {} });
    return this.request(`tasks/${encodeURIComponent(id)}/${verb}`, { method: "POST" });
  }

  /** Events of all tasks, over one socket for the whole page; of one task, over its own.
   * @param {{ task?: string, after?: number }} [options] @returns {Events} */
  stream(options = {}) {
    if (options.task) return new Stream(this, options);
    this.all ??= new Stream(this);
    return this.all;
  }
}

/**
 * @typedef {{ type: string, task_id: string, seq: number, at: string, attempt: number, data: any }} TaskEvent
 * @typedef {{
 *   event: (event: TaskEvent) => void,
 *   reset: () => void,
 *   connection: (state: "live" | "reconnecting") => void,
 * }} Listener  ``reset``: what was known no longer holds, ask again
 * @typedef {{ is_live: boolean, listen: (listener: Listener) => () => void }} Events
 */

/** A websocket that comes back by itself and goes on after the last event that it has seen. */
export class Stream {
  /** @param {Server} server @param {{ task?: string, after?: number }} [options] */
  constructor(server, { task, after } = {}) {
    this.server = server;
    this.task = task;
    /** @type {number | undefined} */
    this.after = after;
    this.failures = 0;
    /** @type {Set<Listener>} */
    this.listeners = new Set();
    /** @type {WebSocket | null} */
    this.socket = null;
    this.timer = 0;
    this.is_live = false;
  }

  /** Listen until the function that is given back is called. @param {Listener} listener */
  listen(listener) {
    this.listeners.add(listener);
    if (!this.socket && !this.timer) this.#open();
    else if (this.is_live) {
      listener.connection("live");
      listener.reset();
    }
    return () => {
      this.listeners.delete(listener);
      if (!this.listeners.size) this.#close();
    };
  }

  #address() {
    const address = new URL(`${API}events/stream`, this.server.sockets);
    const words = {
      task: this.task, outputs: this.task ? undefined : "false", after: this.after, batched: "true",
      _xsrf: cookie("_xsrf") || undefined, token: this.server.token || undefined,
    };
    for (const [name, value] of Object.entries(words)) {
      if (value !== undefined) address.searchParams.set(name, String(value));
    }
    return address;
  }

  #open() {
    this.timer = 0;
    const socket = new WebSocket(this.#address());
    this.socket = socket;
    socket.onmessage = ({ data }) => {
      for (const line of data.split("\n")) this.#take(JSON.parse(line));
    };
    socket.onclose = () => socket === this.socket && this.#pause();
  }

  /** @param {any} message */
  #take(message) {
    if (message.type !== "hello") {
      this.after = Math.max(this.after ?? 0, message.seq);
      for (const listener of this.listeners) listener.event(message);
      return;
    }
    // A lower number than ours: another history has taken this one's place.
    const is_new = this.after === undefined || message.seq < this.after;
    if (is_new) this.after = message.seq;
    this.failures = 0;
    this.is_live = true;
    for (const listener of this.listeners) {
      listener.connection("live");
      if (is_new) listener.reset();
    }
  }

  #pause() {
    this.socket = null;
    this.is_live = false;
    for (const listener of this.listeners) listener.connection("reconnecting");
    const longest = Math.min(LONGEST_PAUSE_MILLISECONDS, 500 * 2 ** this.failures++);
    this.timer = window.setTimeout(() => this.#open(), longest * (0.5 + Math.random() / 2));
  }

  #close() {
    clearTimeout(this.timer);
    this.timer = 0;
    const socket = this.socket;
    this.socket = null;
    this.is_live = false;
    socket?.close();
    this.after = undefined;
  }
}
