/** A form from the parameters that a notebook declares. */

import { node } from "./dom.js";
import { TimingFields } from "./schedules.js";

/**
 * @typedef {{ name: string, type: string, default: string, help: string }} Parameter
 * @typedef {{ parameters_text: Record<string, string>, keep_on_failure: boolean, name: string, max_retries: number }} Filled
 */

/** Only what differs from the default is sent: the notebook's own default stays the notebook's. */
export class RunForm {
  /** @param {string} path @param {Parameter[]} parameters
   * @param {import("./server.js").Server} [server]  of a form that makes a schedule */
  constructor(path, parameters, server) {
    this.path = path;
    this.timing = server && new TimingFields(server);
    /** @type {Map<string, { field: HTMLInputElement | HTMLSelectElement, before: string }>} */
    this.fields = new Map();
    this.keep = node("input", { type: "checkbox" });
    this.name = node("input", { type: "text", placeholder: path.replace(/^.*\//, "").replace(/\.ipynb$/, "") });
    this.retries = node("input", { type: "number", min: 0, max: 100, value: 0 });
    this.root = node(
      "div", { class: "opspawn opspawn-form" }, this.timing?.root,
      ...parameters.map((parameter) => this.#line(parameter)),
      !parameters.length && node("p", { class: "opspawn-quiet" }, "This notebook declares no parameters."),
      node("details", { class: "opspawn-section" }, node("summary", {}, "More"),
        node("label", {}, "Name for people", this.name),
        node("label", {}, "Retries", this.retries),
        node("label", { class: "opspawn-check" }, this.keep, "Keep the kernel if a cell fails")),
    );
  }

  /** What the server is to be sent. */
  submission() {
    /** @type {Record<string, string>} */
    const parameters = {};
    for (const [name, { field, before }] of this.fields) {
      if (field.value !== before) parameters[name] = field.value;
    }
    const retries = Number(this.retries.value) || 0;
    return {
      spec: { notebook: this.path, parameters_text: parameters, keep_on_failure: this.keep.checked },
      ...(this.name.value.trim() ? { name: this.name.value.trim() } : {}),
      ...(retries ? { policy: { max_retries: retries } } : {}),
    };
  }

  /** What the server is to be sent for a schedule. */
  plan() {
    const { name } = { name: this.name.placeholder, ...this.submission() };
    return { name, submission: this.submission(), timing: this.timing?.timing() };
  }

  /** @param {Parameter} parameter */
  #line(parameter) {
    const before = asTyped(parameter.default), is_switch = parameter.type === "bool";
    const field = is_switch
      ? node("select", {}, ...["True", "False"].map((word) => node("option", { value: word, selected: word === before }, word)))
      : node("input", { type: "text", value: before, spellcheck: "false", placeholder: before ? "" : "required" });
    this.fields.set(parameter.name, { field, before });
    const help = [parameter.type === "Any" ? "" : parameter.type, parameter.help].filter(Boolean).join(" · ");
    return node("label", {}, node("span", {}, node("strong", {}, parameter.name)), field, help && node("small", {}, help));
  }
}

/** A default as a person would type it: a string without its quotes. @param {string} source  Python */
function asTyped(source) {
  const quoted = source.match(/^(['"])([^\\]*)\1$/);
  return quoted ? quoted[2] : source;
}
