/** Agents that are at work or wait for somebody, above everything else that runs. */

import { Board } from "./board.js";
import { node, say, show } from "./dom.js";

/** @typedef {import("./server.js").Server} Server */

const UNFINISHED = ["pending", "queued", "running", "retrying", "waiting"];

/** Nothing is shown where there are none. */
export class Agents {
  count = node("span");
  root = node(
    "details", { class: "opspawn opspawn-section opspawn-agents", open: true, hidden: true },
    node("summary", {}, this.count),
  );

  /** @param {Server} server @param {import("./card.js").Host} host */
  constructor(server, host) {
    const counted = (/** @type {number} */ count) => {
      say(this.count, `Agents (${count})`);
      show(this.root, count > 0);
    };
    const query = { kind: "agent", state: UNFINISHED };
    this.board = new Board({ server, host, query, title: "Agents", isPart: true, counted });
    this.root.append(this.board.root);
  }

  close() {
    this.board.close();
  }
}
