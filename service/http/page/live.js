// What the service does now: throughput, latency and batch size of the last minute, one point a second.

import { activity } from "./api.js";
import { el, ms, svg } from "./dom.js";

const SECONDS = 60;
const WIDTH = 240;
const HEIGHT = 44;
const WINDOW = 10; // seconds that a quantile looks back

/** Draw into `place` while the page is looked at. chosen: gives the model and the version shown. */
export function startLive(place, note, chosen) {
  if (place.hasChildNodes()) return;
  const meters = [
    new Meter("Throughput", "images/s", (rate) => (rate >= 100 ? rate.toFixed(0) : rate.toFixed(1))),
    new Meter("Latency, 95th percentile", "", ms),
    new Meter("Batch size, mean", "images", (size) => size.toFixed(1)),
  ];
  place.replaceChildren(...meters.map((meter) => meter.element));
  let seen = [];
  let of = "";

  async function look() {
    let pause = 1000;
    if (!document.hidden) {
      try {
        const { model, shown } = chosen();
        const all = await activity();
        const mine = all.versions.find((each) => each.model === model && each.version === shown);
        if (of !== `${model}/${shown}`) seen = [];
        of = `${model}/${shown}`;
        if (mine) seen = [...seen, { ...mine, clock: all.clock_s }].slice(-(SECONDS + WINDOW + 1));
        draw();
        note.textContent = mine?.waiting ? `${mine.waiting} images waiting` : "last minute";
      } catch (error) {
        note.textContent = error.status === 0 ? "the service cannot be reached" : error.message;
        pause = 5000; // a key may have a rate, and a service in trouble has enough to do
      }
    }
    setTimeout(look, pause);
  }

  function draw() {
    const steps = seen.slice(1).map((now, index) => ({ now, before: seen[index], long: seen[Math.max(0, index + 1 - WINDOW)] }));
    meters[0].draw(steps.map(({ now, before }) => (now.images - before.images) / (now.clock - before.clock)));
    meters[1].draw(steps.map(({ now, long }) => quantile(now.latency, long.latency, 0.95)));
    meters[2].draw(steps.map(({ now, before }) => (now.calls > before.calls ? (now.images - before.images) / (now.calls - before.calls) : null)));
  }

  look();
}

/** Milliseconds under which a share of the requests between two counts stayed, as Prometheus estimates it; or null. */
export function quantile(now, before, share) {
  const counts = now.counts.map((count, index) => count - (before.counts[index] ?? 0));
  const wanted = (counts.at(-1) ?? 0) * share;
  if (!(wanted > 0)) return null;
  const index = counts.findIndex((count) => count >= wanted);
  const upper = now.bounds[index];
  const lower = index ? now.bounds[index - 1] : 0;
  if (upper === null) return lower * 1000;
  const below = index ? counts[index - 1] : 0;
  return (lower + ((upper - lower) * (wanted - below)) / (counts[index] - below)) * 1000;
}

class Meter {
  constructor(name, unit, show) {
    this.show = show;
    this.name = name;
    this.unit = unit;
    this.value = el("strong", {}, "–");
    this.area = svg("path", { class: "area" });
    this.path = svg("path", { class: "stroke" });
    this.chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, this.area, this.path);
    this.element = el("div", { class: "meter" }, el("p", {}, el("span", {}, name), el("span", { class: "now" }, this.value, unit && ` ${unit}`)), this.chart);
  }

  /** values: one a second, the newest last; null where nothing happened. */
  draw(values) {
    const shown = values.slice(-SECONDS);
    const latest = shown.slice(-WINDOW).findLast((value) => value !== null);
    this.value.textContent = latest === undefined || latest === null ? "–" : this.show(latest);
    const most = Math.max(...shown.map((value) => value ?? 0), 1e-9) * 1.1;
    const x = (index) => (WIDTH - ((shown.length - 1 - index) * WIDTH) / (SECONDS - 1)).toFixed(1);
    const y = (value) => (HEIGHT - 1 - (value / most) * (HEIGHT - 3)).toFixed(1);
    const runs = unbroken(shown);
    const line = ({ from, values: run }) => run.map((value, index) => `${x(from + index)} ${y(value)}`).join("L");
    this.path.setAttribute("d", runs.map((run) => `M${line(run)}`).join(""));
    this.area.setAttribute("d", runs.map((run) => `M${x(run.from)} ${HEIGHT}L${line(run)}L${x(run.from + run.values.length - 1)} ${HEIGHT}Z`).join(""));
  }
}

/** The stretches without a null, each with where it begins. */
function unbroken(values) {
  const runs = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (index && values[index - 1] !== null) runs.at(-1).values.push(value);
    else runs.push({ from: index, values: [value] });
  });
  return runs;
}
