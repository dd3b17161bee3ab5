/** What a cell's output says, drawn: the one door through which every host comes in. */

import { node } from "./dom.js";
import { Board } from "./board.js";
import { Card } from "./card.js";

/**
 * @typedef {{ version: number, view: "task" | "board", task?: any, tasks?: any[], query?: any }} Panel
 * @typedef {import("./server.js").Server} Server
 */

/** Draw it into the element; the view has ``close``.
 * @param {HTMLElement} element @param {Panel} panel @param {Server | null} server @param {import("./card.js").Host} [host] */
export function mount(element, panel, server, host = {}) {
  const view = viewOf(panel, server, host);
  element.replaceChildren(view.root);
  return view;
}

/** @param {Panel} panel @param {Server | null} server @param {import("./card.js").Host} host */
function viewOf(panel, server, host) {
  if (panel.version === 1 && panel.view === "task") return new Card({ server, task: panel.task, host });
  if (panel.version === 1 && panel.view === "board") return new Board({ server, tasks: panel.tasks, query: panel.query, host });
  const said = "This output was written by a newer opspawn_jupyter than the one that shows it.";
  return { root: node("p", { class: "opspawn" }, said), close: () => {} };
}
