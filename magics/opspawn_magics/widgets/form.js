/** A form from the parameters that a notebook declares. */

import { node, say } from "./dom.js";
import { TimingFields } from "./timing.js";

/**
 * @typedef {{ name: string, type: string, default: string, help: string }} Parameter
 * @typedef {{ notebook?: string, parameters?: Record<string, unknown>, parameters_text?: Record<string, string>, keep_on_failure?: boolean }} Spec
 * @typedef {{
 *   name: string, timing: import("./timing.js").Timing, overlap?: string,
 *   submission: { spec: Spec, policy?: { max_retries?: number } | null },
 * }} Plan  of a schedule
 */

const OVERLAPS = { skip: "skip the new run", queue: "wait for it", cancel_running: "cancel it", allow: "run beside it" };

/** Only what differs from the default is sent: the notebook's own default stays the notebook's. */
export class RunForm {
  /** @param {string} path @param {Parameter[]} parameters
   * @param {import("./server.js").Server} [server]  of a form that makes or changes a schedule
   * @param {Plan} [plan]  of the schedule that is changed */
  constructor(path, parameters, server, plan) {
    this.path = path;
    this.plan_before = plan;
    this.timing = server && new TimingFields(server, plan?.timing);
    /** @type {Map<string, { field: HTMLInputElement | HTMLSelectElement, before: string, default: string }>} */
    this.fields = new Map();
    const { spec, policy } = plan?.submission ?? { spec: /** @type {Spec} */ ({}), policy: null };
    this.keep = node("input", { type: "checkbox", checked: Boolean(spec.keep_on_failure) });
    this.name = node("input", { type: "text", placeholder: path.replace(/^.*\//, "").replace(/\.ipynb$/, ""), value: plan?.name ?? "" });
    this.retries = node("input", { type: "number", min: 0, max: 100, value: policy?.max_retries ?? 0 });
    const is_chosen = plan?.overlap ?? "skip";
    this.overlap = node("select", {}, ...Object.entries(OVERLAPS).map(([value, word]) => node("option", { value, selected: value === is_chosen }, word)));
    this.complaint = node("div", { class: "opspawn-complaint", role: "alert" });
    this.root = node(
      "div", { class: "opspawn opspawn-form" }, this.complaint, this.timing?.root,
      ...parameters.map((parameter) => this.#line(parameter, spec)),
      !parameters.length && path && node("p", { class: "opspawn-quiet" }, "This notebook declares no parameters."),
      node("details", { class: "opspawn-section" }, node("summary", {}, "More"),
        node("label", {}, "Name for people", this.name),
        node("label", {}, "Retries", this.retries),
        this.timing && node("label", {}, "While the run before has not ended", this.overlap),
        (path || !plan) && node("label", { class: "opspawn-check" }, this.keep, "Keep the kernel if a cell fails")),
    );
  }

  #policy() {
    const max_retries = Number(this.retries.value) || 0;
    return { max_retries };
  }

  /** Say why the server did not take it; what was typed stays. @param {string} message */
  complain(message) {
    say(this.complaint, message);
  }

  /** What the server is to be sent. */
  submission() {
    /** @type {Record<string, string>} */
    const parameters = {};
    for (const [name, { field, default: usual }] of this.fields) {
      if (field.value !== usual) parameters[name] = field.value;
    }
    const policy = this.#policy();
    return {
      spec: { notebook: this.path, parameters_text: parameters, keep_on_failure: this.keep.checked },
      ...(this.name.value.trim() ? { name: this.name.value.trim() } : {}),
      ...(policy.max_retries ? { policy } : {}),
    };
  }

  /** What the server is to be sent for a schedule. */
  plan() {
    const { name } = { name: this.name.placeholder, ...this.submission() };
    const overlap = this.overlap.value === "skip" ? {} : { overlap: this.overlap.value };
    return { name, submission: this.submission(), timing: this.timing?.timing(), ...overlap };
  }

  /** What the server is to be sent for a change of the schedule: only what was changed. */
  changes() {
    const plan = /** @type {Plan} */ (this.plan_before), { spec, policy } = plan.submission;
    const parameters_text = { ...spec.parameters_text }, parameters = { ...spec.parameters };
    for (const [name, { field, before, default: usual }] of this.fields) {
      if (field.value === before) continue;
      delete parameters[name];
      if (field.value === usual) delete parameters_text[name];
      else parameters_text[name] = field.value;
    }
    const new_spec = this.path ? { spec: { parameters_text, parameters, keep_on_failure: this.keep.checked } } : {};
    const retries = this.#policy();
    const new_policy = retries.max_retries === (policy?.max_retries ?? 0) ? {} : { policy: { ...policy, ...retries } };
    const name = this.name.value.trim() || plan.name;
    return { name, timing: this.timing?.timing(), overlap: this.overlap.value, submission: { ...new_spec, ...new_policy } };
  }

  /** @param {Parameter} parameter @param {Spec} spec  what is given to it so far */
  #line(parameter, spec) {
    const { name } = parameter, usual = asTyped(parameter.default), is_switch = parameter.type === "bool";
    const given = spec.parameters?.[name], before = spec.parameters_text?.[name] ?? (given === undefined ? usual : asPython(given));
    const field = is_switch
      ? node("select", {}, ...["True", "False"].map((word) => node("option", { value: word, selected: word === before }, word)))
      : node("input", { type: "text", value: before, spellcheck: "false", placeholder: before ? "" : "required" });
    this.fields.set(name, { field, before, default: usual });
    const help = [parameter.type === "Any" ? "" : parameter.type, parameter.help].filter(Boolean).join(" · ");
    return node("label", {}, node("span", {}, node("strong", {}, name)), field, help && node("small", {}, help));
  }
}

/** A default as a person would type it: a string without its quotes. @param {string} source  Python */
function asTyped(source) {
  const quoted = source.match(/^(['"])([^\\]*)\1$/);
  return quoted ? quoted[2] : source;
}

/** A value as a person would type it. @param {unknown} value */
function asPython(value) {
  if (typeof value === "string") return value;
  const words = /** @type {Record<string, string>} */ ({ true: "True", false: "False", null: "None" });
  return JSON.stringify(value).replace(/"(?:[^"\\]|\\.)*"|true|false|null/g, (part) => words[part] ?? part);
}
