// The spectrum of a model: for each layer a square of its frequencies, u down, v across, the darker the heavier.

import { el, percent, svg } from "./dom.js";

const MEASURES = { weight: "Weight", energy: "Energy" };
const CELL = 10;
const LETTERS = 10; // of a layer's name under its square

/** Draw a version's spectrum.json into `place`; null says that there is none. */
export function showSpectrum(place, layers) {
  if (!Array.isArray(layers) || layers.length === 0) {
    place.replaceChildren(el("p", { class: "muted" }, "This version brings no spectrum."));
    return;
  }
  const tiles = el("ul", { class: "tiles" });
  const draw = (measure) => tiles.replaceChildren(...layers.map((layer) => tile(layer, measure)));
  draw("weight");
  place.replaceChildren(
    switches(draw),
    tiles,
    el("p", { class: "scale", "aria-hidden": "true" }, "none", el("span", {}), "most of its layer"),
    el("p", { class: "muted" }, "The top left cell is the mean; down and to the right the patterns get finer. An empty cell is a frequency that the layer does not have."),
    table(layers),
  );
}

function switches(draw) {
  const options = Object.entries(MEASURES).map(([measure, name], index) =>
    el("label", {}, el("input", { type: "radio", name: "measure", value: measure, checked: index === 0, onchange: () => draw(measure) }), el("span", {}, name)),
  );
  return el("fieldset", { class: "switch" }, el("legend", { class: "hidden" }, "What the squares show"), options);
}

function tile(layer, measure) {
  const [rows, columns] = layer.kernel_size;
  const most = Math.max(...layer[measure]) || 1;
  const cells = layer.frequencies.map(([u, v], index) => {
    const share = layer[measure][index];
    const place = { x: v * CELL + 0.5, y: u * CELL + 0.5, width: CELL - 1, height: CELL - 1, rx: 1.5 };
    return svg("g", {}, svg("rect", { ...place, class: "cell" }), svg("rect", { ...place, class: "heat", "fill-opacity": (share / most).toFixed(3) }), svg("title", {}, `u ${u}, v ${v}: ${percent(share)}`));
  });
  const heaviest = layer.frequencies[layer[measure].indexOf(Math.max(...layer[measure]))];
  const words = `${layer.layer}: ${rows} by ${columns}, ${layer.frequencies.length} frequencies, most ${measure} at u ${heaviest[0]}, v ${heaviest[1]}`;
  const picture = svg("svg", { viewBox: `0 0 ${columns * CELL} ${rows * CELL}`, role: "img", "aria-label": words }, cells);
  return el("li", {}, picture, el("span", { title: layer.layer }, short(layer.layer)));
}

/** The end of a layer's name, which tells it from its neighbours. */
function short(name) {
  return name.length > LETTERS ? `…${name.slice(1 - LETTERS)}` : name;
}

function table(layers) {
  const rows = layers.flatMap((layer) =>
    layer.frequencies.map(([u, v], index) =>
      el("tr", {}, index === 0 && el("th", { scope: "rowgroup", rowspan: layer.frequencies.length }, layer.layer), el("td", {}, `${u}, ${v}`), el("td", {}, percent(layer.weight[index])), el("td", {}, percent(layer.energy[index]))),
    ),
  );
  const head = ["Layer", "u, v", "Weight", "Energy"].map((name) => el("th", { scope: "col" }, name));
  const details = el("details", {}, el("summary", {}, "As a table"));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1)
      details.append(el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Spectrum as a table" }, el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows))));
  });
  return details;
}
