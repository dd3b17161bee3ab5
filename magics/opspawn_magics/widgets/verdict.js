/** What an audit came to: its headline, and a lamp for each question with the reason. */

import { node } from "./dom.js";

/**
 * @typedef {import("./tasks.js").Task} Task
 * @typedef {{ headline: string, lights: Record<string, string>, reasons?: Record<string, string> }} Verdict
 */

/** A colour never stands alone. */
const GLYPHS = /** @type {Record<string, string>} */ ({ pass: "✓", fail: "✗", inconclusive: "?", not_applicable: "-" });
/** Headlines that are no success; of the others there are several. */
const WORST = /** @type {Record<string, string>} */ ({ FAILS: "fail", EXECUTES: "inconclusive", INCONCLUSIVE: "inconclusive" });

/** The verdict; null while there is none. @param {Task} task @returns {Verdict | null} */
export function verdictOf(task) {
  if (task.kind !== "audit" || !("headline" in task.outputs)) return null;
  return /** @type {Verdict} */ (/** @type {unknown} */ (task.outputs));
}

/** @param {Verdict} verdict @param {HTMLElement} report  the link to it */
export function verdictView({ headline, lights, reasons = {} }, report) {
  const stamp = node("strong", { class: "opspawn-stamp", "data-answer": WORST[headline] ?? "pass" }, headline);
  const lamps = Object.entries(lights).map(([name, answer]) => lamp(name, answer, reasons[name] ?? ""));
  return [node("div", { class: "opspawn-head" }, stamp, report), node("ul", { class: "opspawn-lamps" }, ...lamps)];
}

/** @param {string} name @param {string} answer @param {string} reason */
function lamp(name, answer, reason) {
  return node(
    "li", { class: "opspawn-lamp", "data-answer": answer }, node("strong", {}, name.replaceAll("_", " ")),
    node("span", {}, `${GLYPHS[answer] ?? ""} ${answer.replaceAll("_", " ")}`), node("span", { class: "opspawn-reason" }, reason),
  );
}
