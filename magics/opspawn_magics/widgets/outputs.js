/**
 * What cells put out, shown without trusting it.
 *
 * HTML lies in a frame whose sandbox allows no script, and whose policy allows no request. The
 * frame keeps our origin only so that we can measure it: without scripts nobody in it can use that.
 * SVG is shown as an image, which runs no script either.
 */

import { coloured, node, say } from "./dom.js";

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:";
/** A table as JupyterLab shows it, without the frames that browsers draw. */
const STYLE = `<style>table{border:0;border-collapse:collapse;font-size:12px}th,td{border:0;padding:3px 10px;text-align:right}
thead th{border-bottom:1px solid #8888}tbody tr:nth-child(even){background:#8881}</style>`;
const IMAGES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const MOST_OUTPUTS = 200;
const MOST_CHARACTERS = 200_000;
const TALLEST_FRAME_PIXELS = 600;
const SCRIPT = /<script[\s>]/i;
/** The line that IPython draws above a traceback. */
const RULE = /^(?:\x1b\[[0-9;]*m)*-{20,}(?:\x1b\[[0-9;]*m)*\n/;

/** @param {unknown} content  text, or the lines that the notebook format keeps */
const joined = (content) => (Array.isArray(content) ? content.join("") : String(content ?? ""));

/** Give the frame's page the colours around it, and the frame the height of its page.
 * @param {HTMLIFrameElement} made */
function fit(made) {
  const page = made.contentDocument;
  if (!page?.body) return;
  const { color, fontFamily } = getComputedStyle(made);
  page.body.style.cssText = `margin:0;font:13px ${fontFamily};color:${color};overflow-wrap:anywhere`;
  // Of what is in the page: scrollHeight is never less than the frame's own height.
  const height = page.documentElement.offsetHeight;
  // JupyterLab takes cells out and puts them back hidden; what is hidden has no height.
  if (height) made.style.height = `${Math.min(height + 2, TALLEST_FRAME_PIXELS)}px`;
}

/** @type {MutationObserver | null}  of JupyterLab's theme */
let themes = null;

function followThemes() {
  themes ??= new MutationObserver(() => {
    for (const made of document.querySelectorAll("iframe.opspawn-frame")) fit(/** @type {HTMLIFrameElement} */ (made));
  });
  themes.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
}

/** @param {string} html */
function frame(html) {
  const made = node("iframe", { class: "opspawn-frame", sandbox: "allow-same-origin", title: "output" });
  followThemes();
  made.addEventListener("load", () => fit(made));
  // It may be loaded while it is hidden; in a frame of its own, since to fit it changes its size.
  new ResizeObserver(() => requestAnimationFrame(() => fit(made))).observe(made);
  made.srcdoc = `<!doctype html><meta http-equiv="Content-Security-Policy" content="${POLICY}">${STYLE}${html}`;
  return made;
}

/** @param {string} type @param {string} content  base64 */
function image(type, content) {
  return node("img", { class: "opspawn-image", src: `data:${type};base64,${content.replace(/\s/g, "")}`, alt: "image output" });
}

/** @param {string} said @param {string} [style] */
function text(said, style = "") {
  return node("pre", { class: `opspawn-text ${style}`, tabindex: 0 }, coloured(said));
}

/** The richest form that can be shown safely. @param {Record<string, unknown>} data */
function bundle(data) {
  const picture = IMAGES.find((type) => type in data);
  const html = "text/html" in data ? joined(data["text/html"]) : "";
  if (html && !SCRIPT.test(html)) return frame(html);
  if (picture) return image(picture, joined(data[picture]));
  if ("image/svg+xml" in data) {
    const source = `data:image/svg+xml,${encodeURIComponent(joined(data["image/svg+xml"]))}`;
    return node("img", { class: "opspawn-image", src: source, alt: "drawing" });
  }
  const plain = ["text/markdown", "text/latex", "text/plain"].find((type) => type in data);
  if (plain) return text(joined(data[plain]));
  const known = Object.keys(data).join(", ");
  return node("p", { class: "opspawn-quiet" }, `An output of type ${known}: open the notebook to see it.`);
}

/** Without the rule above it, which wraps where there is little room. @param {string[]} lines */
export const tracebackText = (lines) => lines.join("\n").replace(RULE, "");

/** @param {any} output  as in the notebook format */
export function outputNode(output) {
  if (output.output_type === "stream") return text(joined(output.text), `opspawn-${output.name}`);
  if (output.output_type === "error") return text(tracebackText(output.traceback), "opspawn-stderr");
  return bundle(output.data);
}

/** The outputs of a running task, as they come. */
export class OutputsView {
  constructor() {
    this.root = node("div", { class: "opspawn-outputs" });
    /** @type {Map<string, HTMLElement>} */
    this.displays = new Map();
    this.characters = 0;
    this.last = "";
  }

  get is_empty() {
    return !this.root.childElementCount;
  }

  /** Show it; whoever looks at the end goes on looking at the end.
   * @param {import("./server.js").TaskEvent} event */
  take(event) {
    const box = this.root, is_at_end = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
    this.#take(event);
    if (is_at_end) box.scrollTop = box.scrollHeight;
  }

  /** @param {import("./server.js").TaskEvent} event */
  #take({ type, attempt, data }) {
    const number = `${attempt}:${data.output_number}`;
    if (type === "step.log") return this.#stream("log", `${data.text}\n`, null);
    if (number === this.last) return;
    this.last = number;
    // The traceback stands in the card already, above everything else.
    if (data.output?.output_type === "error") return;
    if (data.clear) this.#clear(data.index);
    else if (data.output.output_type === "stream") this.#stream(data.output.name, joined(data.output.text), data.index);
    else this.#show(data);
  }

  /** @param {number} index */
  #clear(index) {
    this.root.querySelectorAll(`[data-cell="${index}"]`).forEach((output) => output.remove());
  }

  /** @param {string} name @param {string} said @param {number | null} index */
  #stream(name, said, index) {
    const last = /** @type {HTMLElement | null} */ (this.root.lastElementChild);
    if (last?.dataset.stream === name && last.dataset.cell === String(index)) this.#extend(last, said);
    else {
      const made = text(said, `opspawn-${name}`);
      made.dataset.stream = name;
      this.#append(made, index);
    }
    this.#bound(said.length);
  }

  /** @param {HTMLElement} element @param {string} said */
  #extend(element, said) {
    const whole = (element.textContent ?? "") + said;
    // A carriage return moves to the start of the line, and what follows overwrites it.
    if (said.includes("\r") || whole.length > MOST_CHARACTERS) {
      say(element, whole.replace(/[^\n]*\r(?=[^\r\n])/g, "").slice(-MOST_CHARACTERS));
    } else element.append(coloured(said));
  }

  /** @param {any} data */
  #show(data) {
    const made = outputNode(data.output), id = data.update ?? data.display_id;
    const before = id && this.displays.get(id);
    if (id) this.displays.set(id, made);
    if (before?.isConnected && data.update) {
      made.dataset.cell = before.dataset.cell;
      before.replaceWith(made);
    } else this.#append(made, data.index);
    this.#bound(made.textContent?.length ?? 0);
  }

  /** @param {HTMLElement} element @param {number | null} index */
  #append(element, index) {
    element.dataset.cell = String(index);
    this.root.append(element);
  }

  /** @param {number} added */
  #bound(added) {
    this.characters += added;
    while (this.root.childElementCount > MOST_OUTPUTS || (this.characters > MOST_CHARACTERS && this.root.childElementCount > 1)) {
      const oldest = /** @type {Element} */ (this.root.firstElementChild);
      this.characters -= oldest.textContent?.length ?? 0;
      oldest.remove();
    }
  }
}

/** What papermill adds to a notebook whose run failed; the page says it in its own way. */
const MARKER = "papermill-error-cell-tag";

/** The code of a cell, as the notebook format keeps it. @param {any} cell */
export const sourceOf = (cell) => joined(cell?.source);

/** The executed notebook: sources and outputs, the failing cell marked.
 * @param {any} notebook @param {import("./tasks.js").Task} task */
export function notebookView(notebook, task) {
  const failing = task.cells.find(({ index }) => index === task.error?.cell_index)?.id;
  const shown = notebook.cells.filter((/** @type {any} */ cell) => !cell.metadata?.tags?.includes(MARKER));
  const cells = shown.map((/** @type {any} */ cell) => {
    const source = sourceOf(cell), is_code = cell.cell_type === "code";
    const label = is_code ? `[${cell.execution_count ?? " "}]` : "";
    return node(
      "section", { class: `opspawn-cell${failing && cell.id === failing ? " opspawn-failing" : ""}` },
      is_code && node("span", { class: "opspawn-prompt" }, label),
      node("pre", { class: `opspawn-source${is_code ? "" : " opspawn-prose"}`, tabindex: 0 }, source),
      ...(cell.outputs ?? []).map(outputNode),
    );
  });
  return node("div", { class: "opspawn-notebook" }, ...cells);
}
