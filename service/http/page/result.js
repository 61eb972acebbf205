// One picture and its answer: classes as bars, the time as one line cut into phases.

import { compare } from "./compare.js";
import { el, limit, ms, percent } from "./dom.js";

const PHASES = ["decode", "queue", "inference", "rest"];

export class Result {
  #address;
  #aborter = null;
  #body = el("div", { class: "answer" });
  settled = false;
  removed = false;
  summary = "";

  /** retry: called when the person asks for it after an error. rivals: gives what the picture can be asked of.
   * certainty: gives, of a model's version, from which probability on its answers are sure. */
  constructor(file, retry, rivals, certainty) {
    this.file = file;
    this.certainty = certainty;
    this.rivals = rivals;
    this.name = file.name || "pasted picture";
    this.retry = retry;
    this.#address = URL.createObjectURL(file);
    const image = el("img", { src: this.#address, alt: "", width: 112, height: 112, decoding: "async" });
    image.addEventListener("error", () => image.replaceWith(el("span", { class: "nothumb" }, "no preview")));
    this.element = el("li", { class: "result" }, el("div", { class: "thumb" }, image), this.#body);
  }

  /** Ends the request when the picture is taken away. */
  signal() {
    this.#aborter = new AbortController();
    return this.#aborter.signal;
  }

  /** Before the answer. */
  wait() {
    this.settled = false;
    this.element.setAttribute("aria-busy", "true");
    if (!this.#body.hasChildNodes()) this.#fill(el("p", { class: "file" }, this.name), el("p", { class: "muted" }, "Asking …"));
  }

  /** An answer of the service. */
  show({ model, version, predictions, timing_ms: timing, batch }) {
    const { classes, certain } = predictions[0];
    const [top] = classes;
    this.summary = `${this.name}: ${top.label}, ${percent(top.probability)}${certain === false ? ", not sure" : ""}`;
    this.#settle();
    this.#fill(
      el("p", { class: "file" }, el("span", {}, this.name), el("span", { class: "muted" }, ` ${model} ${version}`)),
      el("ol", { class: "classes", "aria-label": `Classes of ${this.name}` }, classes.map(bar)),
      certain === false && el("p", { class: "unsure" }, unsure(this.certainty(model, version))),
      timeline(timing, batch),
      this.rivals().length > 1 && el("button", { type: "button", class: "compare", onclick: () => this.#compare(), "aria-label": `Compare versions on ${this.name}` }, "Compare versions"),
    );
    for (const fillBar of this.#body.querySelectorAll("[data-share]")) fillBar.style.width = `${fillBar.dataset.share}%`;
  }

  /** An error, with a way to try again. */
  fail(error) {
    if (this.removed) return;
    this.summary = `${this.name}: ${error.message}`;
    this.#settle();
    this.#fill(
      el("p", { class: "file" }, this.name),
      el("p", { class: "error" }, error.message),
      el("button", { type: "button", onclick: this.retry, "aria-label": `Try ${this.name} again` }, "Try again"),
    );
  }

  remove() {
    this.removed = true;
    this.#aborter?.abort();
    URL.revokeObjectURL(this.#address);
    this.element.remove();
  }

  /** Every version and precision of the model, side by side; again with each press. */
  async #compare() {
    const button = this.#body.querySelector(".compare");
    const { element, done } = compare(this.file, this.name, this.rivals(), this.signal());
    this.#body.querySelector(".scroll")?.remove();
    button.before(element);
    button.disabled = true;
    await done;
    button.disabled = false;
  }

  #settle() {
    this.settled = true;
    this.element.removeAttribute("aria-busy");
  }

  #fill(...children) {
    this.#body.replaceChildren(...children.filter(Boolean));
  }
}

/** Why an answer is not sure, with the precision that the threshold is for where that is known. */
function unsure(certainty) {
  if (!certainty) return "Not sure: below the probability from which on this model was right nearly always.";
  const { probability, precision } = certainty;
  return `Not sure: below ${limit(probability)}, the threshold that gives ${Math.round(100 * precision)} % precision.`;
}

function bar({ label, probability }, rank) {
  return el(
    "li",
    { class: rank === 0 ? "top" : null },
    el("span", { class: "label" }, label),
    el("span", { class: "track", "aria-hidden": "true" }, el("span", { "data-share": (probability * 100).toFixed(2) })),
    el("span", { class: "figure" }, percent(probability)),
  );
}

function timeline(timing, batch) {
  const known = timing.decode + timing.queue + timing.inference;
  const parts = { ...timing, rest: Math.max(0, timing.total - known) };
  const total = Math.max(timing.total, known) || 1;
  const line = PHASES.map((phase) =>
    el("span", { class: phase, "data-share": ((parts[phase] / total) * 100).toFixed(2) }),
  );
  const words = PHASES.slice(0, 3).map((phase) => el("span", { class: `phase ${phase}` }, `${phase} ${ms(parts[phase])}`));
  const company = batch === null ? null : batch === 1 ? "alone in its batch" : `in a batch of ${batch}`;
  return el(
    "div",
    { class: "timing" },
    el("div", { class: "line", "aria-hidden": "true" }, line),
    el("p", {}, words, el("span", { class: "phase" }, `total ${ms(timing.total)}`), company && el("span", { class: "phase batch" }, company)),
  );
}
