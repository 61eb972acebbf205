// A small chart of lines: shares up, a number across.

import { el, percent, svg } from "./dom.js";

const WIDTH = 320;
const HEIGHT = 190;
const LEFT = 42;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 34;
const STEPS = [0, 0.25, 0.5, 0.75, 1];

/**
 * A figure. lines: {name, kind, points: [[across, share], ...], hints}; kind is the class that colours it. across: what
 * the number is. most: the largest number; shown: how it is written. mark: a number to draw a line at, with its name.
 */
export function chart({ title, lines, across, most = 1, shown = (value) => `${value}`, mark = null }) {
  const place = ([x, y]) => [LEFT + (x / most) * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM)];
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}. ${lines.map(spoken(shown)).join(" ")}` }, [
    ...STEPS.flatMap((share) => ruler(share, place)),
    ...STEPS.map((share) => letters([place([share * most, 0])[0], HEIGHT - BOTTOM + 15], shown(share * most), share === 1 ? "end" : "middle")),
    letters([(LEFT + WIDTH - RIGHT) / 2, HEIGHT - 3], across, "middle"),
    ...(mark ? marked(mark, place) : []),
    ...lines.flatMap((line) => drawn(line, place, shown)),
  ]);
  const legend = lines.map(({ name, kind }) => el("span", { class: `key-of ${kind}` }, name));
  return el("figure", { class: "chart" }, picture, el("figcaption", {}, legend));
}

function ruler(share, place) {
  const [, y] = place([0, share]);
  return [svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y }), letters([LEFT - 6, y + 4], `${share * 100} %`, "end")];
}

function marked({ at, name }, place) {
  const [x] = place([at, 0]);
  const right = x > WIDTH / 2;
  return [
    svg("line", { class: "mark", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }),
    letters([x + (right ? -5 : 5), HEIGHT - BOTTOM - 6], name, right ? "end" : "start"),
  ];
}

function drawn({ name, kind, points, dots = true }, place, shown) {
  const places = points.map(place);
  const way = svg("polyline", { class: `way ${kind}`, points: places.map((at) => at.map((each) => each.toFixed(1)).join(",")).join(" ") });
  const spots = dots ? places.map(([cx, cy], index) => spot(kind, cx, cy, `${name}: ${percent(points[index][1])} at ${shown(points[index][0])}`)) : [];
  return [way, ...spots];
}

function spot(kind, cx, cy, hint) {
  return svg("circle", { class: `spot ${kind}`, cx: cx.toFixed(1), cy: cy.toFixed(1), r: 2.6 }, svg("title", {}, hint));
}

function letters([x, y], text, anchor) {
  return svg("text", { x, y, "text-anchor": anchor }, text);
}

/** A line in words: where it begins and where it ends. */
const spoken = (shown) => ({ name, points }) => {
  if (points.length === 0) return "";
  const [first, last] = [points[0], points.at(-1)];
  return `${name}: ${percent(first[1])} at ${shown(first[0])}, ${percent(last[1])} at ${shown(last[0])}.`;
};
