/** What waits for a person's decision, with the buttons to decide it. */

import { node, say } from "./dom.js";

/**
 * @typedef {{ id: string, text: string, detail: Record<string, any>, choices: string[], task_id: string, asked_by: string }} Question
 * @typedef {import("./server.js").Server} Server
 */

/** @param {string} word */
const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

/** Where a question is a login, the address is in its detail (``LOGIN_ADDRESS`` in Python). */
const LOGIN = "log_in_at";

/** What is asked about, one value a line: the arguments of a call stand by their names.
 * @param {Record<string, any>} detail @returns {[string, unknown][]} */
const flat = (detail) => Object.entries(detail).filter(([name]) => name !== LOGIN).flatMap(([name, value]) => (
  name === "arguments" && value && typeof value === "object" ? Object.entries(value) : [[name, value]]
));

/** The text, with a link in place of the address of a login. No other address becomes a link: the
 * texts are other people's.
 * @param {Question} question @returns {(string | Element | false)[]} */
const asked = ({ text, detail }) => {
  const address = detail[LOGIN];
  if (typeof address !== "string" || !/^https?:\/\//.test(address)) return [text];
  const link = node("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, `at ${new URL(address).host}`);
  return [text.replace(`: ${address}`, " "), link];
};

/** Open questions, of one task or of all. Nothing is shown where there are none. */
export class Questions {
  list = node("div");
  complaint = node("div", { class: "opspawn-complaint", role: "alert" });
  root = node("div", { class: "opspawn-questions", role: "group", "aria-label": "Questions", hidden: true }, this.list, this.complaint);
  /** @type {Set<string>} */
  shown = new Set();
  /** @type {Question[]} */
  open = [];

  /** @param {Server} server @param {{ task?: string, isReadOnly?: boolean, changed?: () => void }} [options] */
  constructor(server, { task, isReadOnly = false, changed = () => {} } = {}) {
    this.server = server;
    this.task = task;
    this.isReadOnly = isReadOnly;
    this.changed = changed;
  }

  /** Ask the server which are open. Those that are shown already stay, with what was typed. */
  async refresh() {
    const query = this.task ? `?${new URLSearchParams({ task: this.task })}` : "";
    try {
      /** @type {{ questions: Question[] }} */
      const { questions } = await this.server.request(`questions${query}`);
      const ids = new Set(questions.map(({ id }) => id));
      for (const gone of [...this.shown].filter((id) => !ids.has(id))) this.#drop(gone);
      for (const question of questions.filter(({ id }) => !this.shown.has(id)).reverse()) this.#add(question);
      this.root.hidden = !this.shown.size;
      this.open = questions;
      this.changed();
    } catch (problem) {
      say(this.complaint, /** @type {Error} */ (problem).message);
    }
  }

  /** @param {string} id */
  #drop(id) {
    this.shown.delete(id);
    this.list.querySelector(`[data-question="${CSS.escape(id)}"]`)?.remove();
    say(this.complaint, "");
  }

  /** @param {Question} question */
  #add(question) {
    this.shown.add(question.id);
    const facts = flat(question.detail).map(([name, value]) => node(
      "div", {}, node("dt", {}, name), node("dd", {}, typeof value === "string" ? value : JSON.stringify(value)),
    ));
    this.list.prepend(node(
      "div", { class: "opspawn-question", "data-question": question.id },
      node("div", { class: "opspawn-asked" }, ...asked(question)),
      facts.length > 0 && node("dl", { class: "opspawn-values" }, ...facts),
      !this.isReadOnly && this.#answers(question),
    ));
  }

  /** @param {Question} question */
  #answers(question) {
    if (question.choices.length) {
      const buttons = question.choices.map((choice) => node(
        "button", { class: "opspawn-button", type: "button", "aria-label": `${capital(choice)}: ${question.text}`, onclick: () => void this.#answer(question, choice) },
        capital(choice),
      ));
      return node("div", { class: "opspawn-actions" }, ...buttons);
    }
    const field = node("input", { type: "text", "aria-label": question.text, required: true });
    const onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#answer(question, field.value);
    };
    return node("form", { class: "opspawn-actions", onsubmit }, field, node("button", { class: "opspawn-button" }, "Answer"));
  }

  /** @param {Question} question @param {string} answer */
  async #answer(question, answer) {
    try {
      await this.server.request(`questions/${encodeURIComponent(question.id)}/answer`, { method: "POST", body: { answer } });
    } catch (problem) {
      say(this.complaint, /** @type {Error} */ (problem).message);
    }
    await this.refresh();
  }
}
