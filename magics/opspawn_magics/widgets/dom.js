/**
 * Elements, words and numbers: what every view is made of.
 *
 * Text is only ever set as text. Nothing here or in the views takes markup from a task.
 */

const SVG = "http://www.w3.org/2000/svg";

/** A state is always shown as glyph and word, and as colour where there is any. */
export const GLYPHS = /** @type {Record<string, string>} */ ({
  pending: "◌", queued: "◔", running: "▶", retrying: "↻", waiting: "?", not_run: "·",
  active: "◷", paused: "‖", ended: "■",
  success: "✓", failed: "✗", timed_out: "⧗", crashed: "✹", cancelled: "⊘", skipped: "⤼",
});

/**
 * @typedef {Node | string | null | undefined | false} Child
 * @typedef {Record<string, any>} Properties  attributes; `onclick` and the like are listeners
 */

/** @param {Element} made @param {Properties} properties @param {Child[]} children */
function filled(made, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child != null && child !== false).map((child) => /** @type {Node | string} */ (child)));
  return made;
}

/**
 * An HTML element.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {Properties} [properties] @param {Child[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function node(tag, properties = {}, ...children) {
  const made = filled(document.createElement(tag), properties, children);
  return /** @type {HTMLElementTagNameMap[T]} */ (made);
}

/**
 * An element of a drawing.
 * @param {string} tag @param {Properties} [properties] @param {Child[]} children
 */
export function drawn(tag, properties = {}, ...children) {
  return /** @type {SVGElement} */ (filled(document.createElementNS(SVG, tag), properties, children));
}

/** Set the text only where it differs, so that a screen reader and a selection keep their place.
 * @param {Element} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {HTMLElement} element @param {boolean} is_shown */
export function show(element, is_shown) {
  element.hidden = !is_shown;
}

/** ``✓ success``. @param {string} state */
export const stateWord = (state) => `${GLYPHS[state] ?? "•"} ${state.replaceAll("_", " ")}`;

/** A state as colour, glyph and word. @param {string} state */
export function pill(state) {
  return node("span", { class: `opspawn-pill opspawn-is-${state}` }, stateWord(state));
}

/** @param {HTMLElement} element  made by ``pill`` @param {string} state */
export function setPill(element, state) {
  element.className = `opspawn-pill opspawn-is-${state}`;
  say(element, stateWord(state));
}

/** ``0.4 s``, ``3 min 20 s``, ``2 h 5 min``. @param {number} seconds */
export function duration(seconds) {
  if (seconds < 60) return `${Math.max(seconds, 0).toFixed(1)} s`;
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A moment in the reader's own time zone; the tooltip has it exactly. @param {string} at  ISO 8601 */
export function moment(at) {
  const date = new Date(at), today = new Date().toDateString() === date.toDateString();
  const shown = today ? date.toLocaleTimeString() : date.toLocaleString();
  return node("time", { datetime: at, title: at }, shown);
}

/** A moment to come: day and minute, and in whose time. @param {string} at  ISO 8601 */
export function dueMoment(at) {
  const shown = new Date(at).toLocaleString([], {
    weekday: "short", month: "short", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short",
  });
  return node("time", { datetime: at, title: at }, shown);
}

/** The last characters of an id, as people write it. @param {string} id */
export const short = (id) => id.slice(-8);

const ANSI = /\x1b\[([0-9;]*)m|\x1b\[[0-9;?]*[A-Za-ln-z]/g;

/** Text with the colours that a terminal would give it. @param {string} text */
export function coloured(text) {
  const made = document.createDocumentFragment();
  let colour = "", is_bold = false, from = 0;
  const flush = (/** @type {number} */ until) => {
    const piece = text.slice(from, until);
    const style = [colour && `opspawn-ansi-${colour}`, is_bold && "opspawn-bold"].filter(Boolean).join(" ");
    if (piece) made.append(style ? node("span", { class: style }, piece) : piece);
  };
  for (const found of text.matchAll(ANSI)) {
    flush(found.index);
    from = found.index + found[0].length;
    if (found[1] === undefined) continue;
    for (const code of (found[1] || "0").split(";").map(Number)) {
      if (code === 0) [colour, is_bold] = ["", false];
      else if (code === 1) is_bold = true;
      else if (code === 39) colour = "";
      else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) colour = String(code % 10);
    }
  }
  flush(text.length);
  return made;
}

/** Call it at most once for each frame that is painted. @param {() => void} paint */
export function coalesced(paint) {
  let is_due = false;
  return () => {
    if (is_due) return;
    is_due = true;
    // A hidden page paints no frames, and yet must not pile up work.
    const soon = document.hidden ? (/** @type {() => void} */ then) => setTimeout(then, 500) : requestAnimationFrame;
    soon(() => { is_due = false; paint(); });
  };
}
