/** How many tasks are in which state, as the history counts them: a list shows only a page of them. */

import { node, say, show, stateWord } from "./dom.js";

/** @typedef {import("./server.js").Server} Server */

const COUNT_EVERY_MILLISECONDS = 3000;
const QUERY = "SELECT state, count(*), count(*) FILTER (parent_id IS NULL) FROM tasks GROUP BY state ORDER BY 2 DESC, 1";

export class Counts {
  root = node("p", { class: "opspawn-quiet opspawn-counts", hidden: true });
  timer = 0;

  /** @param {Server} server @param {() => boolean} isTop  whether parts are left out */
  constructor(server, isTop) {
    this.server = server;
    this.isTop = isTop;
  }

  close() {
    clearTimeout(this.timer);
  }

  /** Count once for all that changes in a while. */
  readSoon() {
    this.timer ||= window.setTimeout(() => void this.read(), COUNT_EVERY_MILLISECONDS);
  }

  async read() {
    clearTimeout(this.timer);
    this.timer = 0;
    try {
      /** @type {{ rows: [string, number, number][] }} */
      const { rows } = await this.server.request("sql", { method: "POST", body: { query: QUERY } });
      const counts = rows.map(([state, all, top]) => /** @type {const} */ ([state, this.isTop() ? top : all]));
      say(this.root, counts.filter(([, count]) => count).map(([state, count]) => `${stateWord(state)} ${count}`).join(" · "));
    } catch {
      say(this.root, ""); // whoever may not ask the history sees the list all the same
    }
    show(this.root, Boolean(this.root.textContent));
  }
}
