// One picture, asked of every version and precision of a model: a table of answers, times and sizes.

import { classify } from "./api.js";
import { bytes, el, ms, percent } from "./dom.js";

const ROUNDS = 3; // of calls, in turns: what disturbs one then disturbs all

/** What can be compared with a model: each of its versions that is ready, in each precision that is loaded. */
export function rivals(models, name) {
  const base = name.split(":")[0];
  const found = new Map();
  for (const { name: other, versions } of models.filter((each) => each.name.split(":")[0] === base)) {
    for (const { version, state, precision = "fp32", size_bytes: size } of versions) {
      const key = `${version} ${precision}`;
      if (state === "ready" && !found.has(key)) found.set(key, { model: other, version, precision, size });
    }
  }
  return [...found.values()].sort((one, other) => other.version - one.version || one.precision.localeCompare(other.precision));
}

/** Ask each of them about the picture, one call at a time; the table fills as answers come. */
export function compare(file, name, others, signal) {
  const rows = others.map((each) => new Row(each));
  const head = ["Version", "Answer", "Probability", "Model time", "Size"].map((title) => el("th", { scope: "col" }, title));
  const table = el(
    "table",
    { class: "compared" },
    el("caption", {}, `${name}, asked of ${others.length}; times are the medians of ${ROUNDS} calls`),
    el("thead", {}, el("tr", {}, head)),
    el("tbody", {}, rows.map((row) => row.element)),
  );
  const place = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Comparison on ${name}`, "aria-busy": "true" }, table);
  return { element: place, done: fill(file, rows, signal).finally(() => place.removeAttribute("aria-busy")) };
}

async function fill(file, rows, signal) {
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const row of rows.filter((each) => !each.failed)) await row.ask(file, signal);
    mark(rows.filter((each) => !each.failed));
  }
}

/** Say which answers are not the most frequent one, and which row took less than all others. */
function mark(rows) {
  const counts = new Map();
  for (const { label } of rows) counts.set(label, (counts.get(label) ?? 0) + 1);
  const most = Math.max(0, ...counts.values());
  const fastest = Math.min(...rows.map((row) => row.time));
  const alone = rows.length > 1 && rows.filter((row) => ms(row.time) === ms(fastest)).length === 1;
  for (const row of rows) row.mark(counts.get(row.label) < most, alone && row.time === fastest);
}

class Row {
  #times = [];
  #answer = el("td", {}, "…");
  #probability = el("td", { class: "number" });
  #time = el("td", { class: "number" });
  failed = false;
  label = null;

  constructor({ model, version, precision, size }) {
    this.model = model;
    this.version = version;
    const name = el("th", { scope: "row" }, `${version}`, el("span", { class: "muted" }, ` ${precision}`));
    this.element = el("tr", {}, name, this.#answer, this.#probability, this.#time, el("td", { class: "number" }, size ? bytes(size) : "–"));
  }

  /** The median, in milliseconds. */
  get time() {
    return this.#times.toSorted((one, other) => one - other)[Math.floor(this.#times.length / 2)];
  }

  async ask(file, signal) {
    try {
      const { predictions, timing_ms: timing } = await classify(this.model, this.version, file, signal);
      const [top] = predictions[0].classes;
      this.label = top.label;
      this.#times.push(timing.inference);
      this.#probability.textContent = percent(top.probability);
      this.#time.textContent = ms(this.time);
    } catch (error) {
      this.failed = true;
      this.#answer.replaceChildren(el("span", { class: "error" }, error.message));
    }
  }

  mark(differs, fastest) {
    this.#answer.replaceChildren(this.label, differs ? el("span", { class: "error" }, " differs") : "");
    this.#time.replaceChildren(ms(this.time), fastest ? el("span", { class: "muted" }, " fastest") : "");
  }
}
