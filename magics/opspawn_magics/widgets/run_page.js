/** The page of one run: its card, notebook, parameters, events, calls of
 * tools, files and environment. */

import { Card } from "./card.js";
import { duration, moment, node, say } from "./dom.js";
import { notebookView } from "./outputs.js";
import { Server } from "./server.js";
import { isFinal } from "./tasks.js";

/** @typedef {import("./tasks.js").Task} Task */

const MOST_EVENTS = 1000;
/** Of a task, whose id is no one's text but ours. @param {string} id */
const toolCalls = (id) => `SELECT called_at, server || '.' || tool, outcome, duration_seconds, error
  FROM tool_calls WHERE task_id = '${id}' ORDER BY called_at`;

/** @param {unknown} value */
const written = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 1));

/** Rows of names and values. @param {Record<string, unknown>} facts */
function table(facts) {
  const rows = Object.entries(facts).map(([name, value]) => node(
    "tr", {}, node("th", { scope: "row" }, name), node("td", {}, node("pre", { class: "opspawn-text" }, written(value))),
  ));
  return node("table", { class: "opspawn-table" }, node("tbody", {}, ...rows));
}

/** A section that is read when it is first opened.
 * @param {string} title @param {() => Promise<Node>} read @param {boolean} [is_open] */
function section(title, read, is_open = false) {
  const content = node("div", {}), made = node("details", { class: "opspawn-part" }, node("summary", {}, node("h2", {}, title)), content);
  const fill = async () => {
    try {
      content.replaceChildren(await read());
    } catch (problem) {
      content.replaceChildren(node("p", { class: "opspawn-quiet" }, /** @type {Error} */ (problem).message));
    }
  };
  made.addEventListener("toggle", () => made.open && void fill());
  made.open = is_open;
  return made;
}

class RunPage {
  /** @param {Server} server @param {Task} task @param {HTMLElement} place */
  constructor(server, task, place) {
    this.server = server;
    this.task = task;
    document.title = `${task.name} · run`;
    this.card = new Card({ server, task, host: { isRunPage: true, ended: () => this.#renew(place) } });
    place.replaceChildren(
      node("nav", {}, node("a", { href: server.page("lab") }, "JupyterLab")),
      node("h1", {}, task.name),
      this.card.root,
      this.#parts(),
    );
  }

  /** @param {HTMLElement} place */
  #renew(place) {
    place.lastElementChild?.replaceWith(this.#parts());
  }

  #parts() {
    const path = `tasks/${this.task.id}`, parameters = this.task.spec?.parameters ?? {};
    return node(
      "div", {},
      this.card.task.cells.length > 0 && section("Notebook", () => this.#notebook(), isFinal(this.card.task)),
      section("Parameters", async () => (Object.keys(parameters).length ? table(parameters) : node("p", { class: "opspawn-quiet" }, "It was run with the notebook's own values."))),
      section("Events", async () => this.#events((await this.server.request(`${path}/events?limit=${MOST_EVENTS}`)).events)),
      section("Tool calls", async () => this.#calls((await this.server.request("sql", { method: "POST", body: { query: toolCalls(this.task.id) } })).rows)),
      section("Files", async () => this.#files((await this.server.request(`${path}/artifacts`)).artifacts)),
      section("Environment", () => this.#environment()),
      section("Facts", async () => table(this.#facts())),
    );
  }

  async #notebook() {
    const notebook = await this.server.request(`tasks/${this.task.id}/notebook`);
    return notebookView(notebook, this.card.task);
  }

  /** @param {import("./server.js").TaskEvent[]} events */
  #events(events) {
    const rows = events.map((event) => {
      const said = JSON.stringify(event.data);
      return node("tr", {},
        node("td", {}, moment(event.at)), node("td", {}, node("code", {}, event.type)),
        node("td", { class: "opspawn-data", title: said.slice(0, 2000) }, said === "{}" ? "" : said.slice(0, 200)));
    });
    const head = node("tr", {}, ...["at", "event", "data"].map((word) => node("th", { scope: "col" }, word)));
    return node("table", { class: "opspawn-table" }, node("thead", {}, head), node("tbody", {}, ...rows));
  }

  /** @param {[string, string, string, number, string | null][]} calls */
  #calls(calls) {
    if (!calls.length) return node("p", { class: "opspawn-quiet" }, "The run called no tools.");
    const rows = calls.map(([at, tool, outcome, seconds, error]) => node("tr", {},
      node("td", {}, moment(`${at}Z`.replace("ZZ", "Z"))), node("td", {}, node("code", {}, tool)),
      node("td", {}, outcome), node("td", {}, duration(seconds)), node("td", {}, error ?? "")));
    const head = node("tr", {}, ...["at", "tool", "outcome", "took", "error"].map((word) => node("th", { scope: "col" }, word)));
    return node("table", { class: "opspawn-table" }, node("thead", {}, head), node("tbody", {}, ...rows));
  }

  /** @param {{ path: string, size_bytes: number }[]} files */
  #files(files) {
    if (!files.length) return node("p", { class: "opspawn-quiet" }, "The run left no files.");
    const address = (/** @type {string} */ path) => this.server.api(`tasks/${this.task.id}/artifacts/${path.split("/").map(encodeURIComponent).join("/")}`);
    return node("ul", {}, ...files.map(({ path, size_bytes }) => node(
      "li", {}, node("a", { href: address(path), download: "" }, path), ` ${size_bytes.toLocaleString()} bytes`,
    )));
  }

  /** It lies in the run directory, which the server serves like any other file. */
  async #environment() {
    const path = `${this.task.run_directory}/environment.json`.split("/").map(encodeURIComponent).join("/");
    const { content } = await this.server.contents(path);
    return table(JSON.parse(content));
  }

  #facts() {
    const { id, kind, submitted_by, created_at, started_at, finished_at, run_directory, retry_of, labels, policy, spec } = /** @type {any} */ (this.card.task);
    return { id, kind, submitted_by, created_at, started_at, finished_at, run_directory, retry_of, labels, policy, spec };
  }
}

async function open() {
  const server = /** @type {Server} */ (Server.ofPage()), place = /** @type {HTMLElement} */ (document.querySelector("main"));
  try {
    new RunPage(server, await server.task(document.body.dataset.run ?? ""), place);
  } catch (problem) {
    say(place, /** @type {Error} */ (problem).message);
  }
}

void open();
