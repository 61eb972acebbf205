// What was found when a version was judged: how often it is right, how sure that is, and what it confuses.

import { chart } from "./chart.js";
import { el, limit, percent } from "./dom.js";
import { read, Unreadable } from "./reading.js";

/** Draw a version's report.json into `place`. certainty: the manifest's, or nothing. */
export function showReport(place, given, certainty) {
  try {
    place.replaceChildren(...parts(read(given), certainty));
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    refuseReport(place, error.message);
  }
}

/** Say why there is no report to be seen. */
export function refuseReport(place, why) {
  place.replaceChildren(el("p", { class: "error" }, `This version's report cannot be shown: ${why}.`));
}

function parts(report, certainty) {
  const known = report.accuracy.low !== null;
  return [
    score("Right answers", report.accuracy),
    score("Mean of classes", report.balanced),
    el("p", { class: "muted" }, `${whole(report.images)} images of ${report.source}, ${report.judgedBy}.${known ? " The bands hold the true figure in 95 of 100 cases." : ""}`),
    certainty && el("p", { class: "muted" }, sureness(certainty, report.thresholds)),
    ...report.remarks.map((remark) => el("p", { class: "muted" }, remark)),
    curves(report, certainty),
    byClass(report),
    report.confusion && confusion(report),
  ].filter(Boolean);
}

/** A share as a number and a bar, with the band in which it lies. */
function score(name, { value, low, high }) {
  const place = (element, left, width) => {
    element.style.left = `${100 * left}%`;
    element.style.width = `${100 * width}%`;
    return element;
  };
  const band = low !== null && high !== null && low <= high;
  return el(
    "div",
    { class: "score" },
    el("p", {}, el("span", {}, name), el("span", {}, el("strong", {}, percent(value)), band && el("small", {}, ` ${percent(low)} to ${percent(high)}`))),
    el("div", { class: "scale-of", "aria-hidden": "true" }, place(el("span", { class: "reach" }), 0, value), band && place(el("span", { class: "band" }), low, high - low)),
  );
}

function sureness({ probability, precision, at_least: least, images }, thresholds) {
  const reached = thresholds.filter((one) => one.probability <= probability).at(-1);
  const often = reached ? `, which ${percent(reached.kept)} of the images reach` : "";
  const surely = least == null ? "" : `, and of others at least ${share(least)}, as far as ${whole(images)} images can say`;
  return `Sure from ${limit(probability)} on${often}: of such answers ${share(precision)} were right${surely}.`;
}

function curves(report, certainty) {
  const kinds = [
    report.thresholds.length && ["Thresholds", () => thresholds(report.thresholds, certainty)],
    report.calibration.length && ["Calibration", () => calibration(report.calibration)],
    report.learning.length > 1 && ["Learning", () => learning(report.learning)],
  ].filter(Boolean);
  if (kinds.length === 0) return null;
  const place = el("div", {}, kinds[0][1]());
  const options = kinds.map(([name, draw], index) =>
    el("label", {}, el("input", { type: "radio", name: "curve", checked: index === 0, onchange: () => place.replaceChildren(draw()) }), el("span", {}, name)),
  );
  return el("div", { class: "curves" }, el("fieldset", { class: "switch" }, el("legend", { class: "hidden" }, "Which curve is shown"), options), place);
}

function thresholds(points, certainty) {
  return chart({
    title: "What a threshold brings",
    lines: [
      { name: "right", kind: "first", points: points.map((one) => [one.probability, one.right]), dots: false },
      { name: "images that reach it", kind: "second", points: points.map((one) => [one.probability, one.kept]), dots: false },
    ],
    across: "answers of at least this probability",
    shown: (value) => value.toFixed(2),
    mark: certainty ? { at: certainty.probability, name: "sure" } : null,
  });
}

function calibration(points) {
  return chart({
    title: "How far probabilities can be believed",
    lines: [
      { name: "ideal", kind: "ideal", points: [[0, 0], [1, 1]], dots: false },
      { name: "right", kind: "first", points: points.map((one) => [one.probability, one.right]) },
    ],
    across: "probability of the answer",
    shown: (value) => value.toFixed(2),
  });
}

function learning(points) {
  return chart({
    title: "Right answers by number of images",
    lines: [{ name: "right", kind: "first", points: points.map((one) => [one.images, one.accuracy]) }],
    across: "images learned from",
    most: Math.max(...points.map((one) => one.images)) || 1,
    shown: (value) => whole(Math.round(value)),
  });
}

/** The classes, the weakest first, with what each is taken for. */
function byClass({ classes, confused, classCount }) {
  const taken = new Map(confused.toReversed().map((one) => [one.truth, one]));
  const rows = classes.toSorted((one, other) => (one.recall ?? 2) - (other.recall ?? 2)).map(({ name, images, recall, precision }) => {
    const mistake = taken.get(name);
    const found = el("th", { scope: "row" }, name, mistake && el("small", {}, `${mistake.answer} ${share(mistake.share)}`));
    return el("tr", {}, found, ...[whole(Math.round(images)), recall === null ? "–" : share(recall), precision === null ? "–" : share(precision)].map((text) => el("td", { class: "number" }, text)));
  });
  const head = ["Class, taken for", "Images", "Found", "Right"].map((title) => el("th", { scope: "col" }, title));
  const some = classes.length < classCount ? `The ${classes.length} weakest of ${whole(classCount)} classes. ` : "";
  const words = el("p", { class: "muted" }, `${some}Found: the share of a class's images that got its name. Right: the share of answers with its name that were right.`);
  return later("Classes", () => [scroll("Classes", el("table", { class: "by-class" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows))), words]);
}

function confusion({ classes, confusion: counts }) {
  const names = classes.map(({ name }) => name);
  const head = names.map((name) => el("th", { scope: "col", title: name }, el("span", {}, name)));
  const rows = counts.map((row, place) => {
    const all = row.reduce((sum, value) => sum + value, 0);
    const cells = row.map((value, answer) => cell(value, all, answer === place, `${names[place]}, answered ${names[answer]}: ${rounded(value)}`));
    return el("tr", {}, el("th", { scope: "row", title: names[place] }, names[place]), cells);
  });
  const table = el("table", { class: "confusion" }, el("thead", {}, el("tr", {}, el("td", {}), head)), el("tbody", {}, rows));
  return later("Confusion", () => [el("p", { class: "muted" }, "Down: the true class. Across: the answer. The darker, the larger the share of its class."), scroll("Confusion", table)]);
}

function cell(value, all, right, title) {
  const made = el("td", { class: right ? "right" : "wrong", title }, value ? rounded(value) : "");
  made.style.setProperty("--share", `${Math.round((100 * value) / (all || 1))}%`);
  return made;
}

/** What is made once somebody opens it. */
function later(name, make) {
  const details = el("details", {}, el("summary", {}, name));
  details.addEventListener("toggle", () => details.open && details.children.length === 1 && details.append(...make()));
  return details;
}

const scroll = (name, inner) => el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": name }, inner);
const whole = (value) => value.toLocaleString("en");
const share = (value) => `${Math.round(100 * value)} %`;
const rounded = (value) => (Number.isInteger(value) || value >= 10 ? value.toFixed(0) : value.toFixed(1));
