/** When something is to be due: the fields for it, with what the server takes them to mean. */

import { node, show } from "./dom.js";

/**
 * @typedef {{ cron?: string | null, every_seconds?: number | null, at?: string | null, timezone?: string }} Timing
 * @typedef {import("./server.js").Server} Server
 */

const ASK_AFTER_MILLISECONDS = 250;
const WAYS = { days: "on days of the week", every: "every so often", at: "once", cron: "by a cron rule", none: "only when somebody starts it" };
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const FROM_MONDAY = [1, 2, 3, 4, 5, 6, 0];
const UNITS = { minutes: 60, hours: 3600, days: 86_400 };
const SIMPLE = /^(\d{1,2}) (\d{1,2}) \* \* ([\d,*-]+)$/;

/** ``1-5``, ``1,3``, ``*``. @param {number[]} days  of cron, in order */
export function daysRule(days) {
  if (days.length === DAYS.length) return "*";
  const is_run = days.length > 2 && days.every((day, place) => day === days[0] + place);
  return is_run ? `${days[0]}-${days[days.length - 1]}` : days.join(",");
}

/** The days that a rule of ``daysRule`` names. @param {string} rule */
function daysOf(rule) {
  if (rule === "*") return [...DAYS.keys()];
  return rule.split(",").flatMap((part) => {
    const [from, to = from] = part.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, more) => (from + more) % 7);
  });
}

/** What a clock of the zone shows at the moment, as milliseconds since 1970. @param {number} at @param {string} timeZone */
function shownAt(at, timeZone) {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" }).formatToParts(at);
  const of = (/** @type {string} */ type) => Number(parts.find((part) => part.type === type)?.value);
  return Date.UTC(of("year"), of("month") - 1, of("day"), of("hour"), of("minute"), of("second"));
}

/** The moment at which clocks of the zone show this. @param {string} shown  as 2030-01-31T09:00 @param {string} zone */
export function instant(shown, zone) {
  const wanted = Date.parse(`${shown}Z`);
  let at = wanted;
  // Twice: the first guess may lie on the other side of a change of the clocks.
  for (let time = 0; time < 2; time++) at += wanted - shownAt(at, zone);
  return new Date(at).toISOString();
}

export class TimingFields {
  way = node("select", {}, ...Object.entries(WAYS).map(([value, word]) => node("option", { value }, word)));
  time = node("input", { type: "time", value: "06:00", "aria-label": "Time of day" });
  days = FROM_MONDAY.map((day) => node("input", { type: "checkbox", value: day, checked: day > 0 && day < 6 }));
  count = node("input", { type: "number", min: 1, step: 1, value: 1, "aria-label": "How many" });
  unit = node("select", { "aria-label": "Unit" }, ...Object.keys(UNITS).map((unit) => node("option", { selected: unit === "hours" }, unit)));
  moment = node("input", { type: "datetime-local", "aria-label": "Day and time" });
  cron = node("input", { type: "text", value: "0 6 * * 1-5", spellcheck: "false", "aria-label": "Cron rule" });
  zone = node("input", { type: "text", spellcheck: "false" });
  meaning = node("div", { class: "opspawn-meaning", role: "status" });
  parts = {
    days: node(
      "fieldset", { class: "opspawn-days", "aria-label": "Days" }, this.time,
      ...this.days.map((field) => node("label", { class: "opspawn-check" }, field, DAYS[Number(field.value)])),
    ),
    every: node("div", { class: "opspawn-pair" }, this.count, this.unit),
    at: this.moment,
    cron: node("div", {}, this.cron, node("small", {}, "minute hour day month weekday, or @hourly, @daily, @weekly, @monthly")),
    none: node("span"),
  };
  zoned = node("label", {}, node("strong", {}, "Time zone"), this.zone);
  root = node(
    "div", { class: "opspawn-timing" }, node("label", {}, node("strong", {}, "When"), this.way),
    ...Object.values(this.parts), this.zoned, this.meaning,
  );
  timer = 0;

  /** @param {Server} server @param {Timing} [timing]  of what is there already */
  constructor(server, timing) {
    this.server = server;
    this.zone.value = timing?.timezone || Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
    this.moment.value = `${tomorrow}T09:00`;
    if (timing) this.#fill(timing);
    this.root.addEventListener("input", () => { this.#arrange(); this.#askSoon(); });
    this.#arrange();
    void this.#ask();
  }

  /** @param {Timing} timing */
  #fill({ cron, every_seconds, at, timezone = "UTC" }) {
    this.way.value = cron ? "cron" : every_seconds ? "every" : at ? "at" : "none";
    const simple = cron?.match(SIMPLE);
    if (cron) this.cron.value = cron;
    if (simple) {
      this.way.value = "days";
      this.time.value = [simple[2], simple[1]].map((part) => part.padStart(2, "0")).join(":");
      const days = daysOf(simple[3]);
      for (const field of this.days) field.checked = days.includes(Number(field.value));
    }
    if (at) this.moment.value = new Date(shownAt(Date.parse(at), timezone)).toISOString().slice(0, 16);
    if (every_seconds) {
      const [unit, seconds] = Object.entries(UNITS).reverse().find(([, size]) => every_seconds % size === 0) ?? ["minutes", 60];
      this.unit.value = unit;
      this.count.value = String(every_seconds / seconds);
    }
  }

  #arrange() {
    for (const [way, part] of Object.entries(this.parts)) show(part, way === this.way.value);
    show(this.zoned, !["every", "none"].includes(this.way.value));
  }

  /** What the server is to be sent. @returns {Timing} */
  timing() {
    const nothing = { cron: null, every_seconds: null, at: null, timezone: this.zone.value.trim() };
    const [hour, minute] = this.time.value.split(":").map(Number);
    const days = this.days.filter(({ checked }) => checked).map(({ value }) => Number(value)).sort();
    switch (this.way.value) {
      case "days": return { ...nothing, cron: `${minute} ${hour} * * ${daysRule(days)}` };
      case "every": return { ...nothing, every_seconds: Number(this.count.value) * UNITS[/** @type {"hours"} */ (this.unit.value)] };
      case "at": return { ...nothing, at: instant(this.moment.value, nothing.timezone) };
      case "cron": return { ...nothing, cron: this.cron.value.trim() };
      default: return nothing;
    }
  }

  #askSoon() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.#ask(), ASK_AFTER_MILLISECONDS);
  }

  async #ask() {
    clearTimeout(this.timer);
    const asked = ++this.asked;
    try {
      const missing = this.#missing();
      if (missing) throw new Error(missing);
      const timing = this.timing();
      const { words, next_due_at } = await this.server.request("timings", { method: "POST", body: timing });
      const said = (/** @type {string} */ at) => new Date(at).toLocaleString([], { timeZone: timing.timezone, dateStyle: "full", timeStyle: "short" });
      const times = next_due_at.map((/** @type {string} */ at) => node("li", {}, node("time", { datetime: at }, said(at))));
      if (asked === this.asked) this.meaning.replaceChildren(words, node("ol", {}, ...times));
    } catch (problem) {
      if (asked === this.asked) this.meaning.replaceChildren(node("span", { class: "opspawn-complaint" }, /** @type {Error} */ (problem).message));
    }
  }

  asked = 0;

  /** What has to be filled in before there is anything to ask. */
  #missing() {
    const way = this.way.value;
    if (way === "days" && !this.days.some(({ checked }) => checked)) return "choose a day";
    if (way === "days" && !this.time.value) return "give a time of day";
    if (way === "at" && !this.moment.value) return "give a day and a time";
    return "";
  }
}
