// From dropped, pasted or chosen files to answers: a few at a time, so that they meet in batches.

import { classify } from "./api.js";
import { Result } from "./result.js";

const AT_ONCE = 6; // as many connections as a browser opens to one service
const SHOWN = 100; // older answers make room

export class Pictures {
  #chosen;
  #waiting = [];
  #running = 0;
  #results = [];

  /** chosen: gives the model and the version to ask. */
  constructor(chosen) {
    this.#chosen = chosen;
    this.#listen();
  }

  /** Tell everybody, screen readers included. */
  say(text) {
    document.getElementById("status").textContent = text;
  }

  /** Whether pictures can be sent. */
  allow(yes) {
    document.getElementById("files").disabled = !yes;
    if (!yes) this.say("No version of this model is ready.");
  }

  /** Ask about each file, in order. */
  add(files) {
    if (document.getElementById("files").disabled) return;
    for (const file of files) {
      const result = new Result(file, () => this.#ask(result), () => this.#chosen().rivals, (...of) => this.#certainty(...of));
      this.#results.unshift(result);
      document.getElementById("results").prepend(result.element);
      this.#ask(result);
    }
    for (const old of this.#results.splice(SHOWN)) old.remove();
    this.#showTools();
  }

  #ask(result) {
    result.wait();
    this.#waiting.push(result);
    this.#next();
  }

  async #next() {
    if (this.#running >= AT_ONCE || this.#waiting.length === 0) return;
    const result = this.#waiting.shift();
    this.#running += 1;
    try {
      const { model, version } = this.#chosen();
      result.show(await classify(model, version, result.file, result.signal()));
    } catch (error) {
      result.fail(error);
    } finally {
      this.#running -= 1;
      if (!result.removed) this.say(result.summary);
      this.#next();
    }
  }

  /** From which probability on the answers of a model's version are sure; nothing where that is not known. */
  #certainty(model, version) {
    const { model: shown, versions } = this.#chosen();
    const same = shown.split(":")[0] === model.split(":")[0];
    return same ? versions.find((one) => one.version === version)?.certainty : null;
  }

  #clear() {
    this.#waiting.length = 0;
    for (const result of this.#results.splice(0)) result.remove();
    this.say("");
    this.#showTools();
    document.getElementById("files").focus();
  }

  #showTools() {
    document.getElementById("tools").hidden = this.#results.length === 0;
  }

  #listen() {
    const drop = document.getElementById("drop");
    const files = document.getElementById("files");
    files.addEventListener("change", () => {
      this.add([...files.files]);
      files.value = ""; // the same file may be chosen again
    });
    document.addEventListener("paste", (event) => this.add([...(event.clipboardData?.files ?? [])]));
    let depth = 0; // dragging over a child leaves its parent first
    const over = (change) => (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      depth = Math.max(0, depth + change);
      drop.classList.toggle("over", depth > 0);
    };
    document.addEventListener("dragenter", over(1));
    document.addEventListener("dragover", over(0));
    document.addEventListener("dragleave", over(-1));
    document.addEventListener("drop", (event) => {
      over(-depth)(event);
      this.add([...(event.dataTransfer?.files ?? [])]);
    });
    document.getElementById("clear").addEventListener("click", () => this.#clear());
    document.getElementById("again").addEventListener("click", () => {
      for (const result of this.#results.filter((each) => each.settled)) this.#ask(result);
    });
  }
}
