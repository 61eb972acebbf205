// A model card's Markdown as elements. What it says stays text: HTML in it is shown, never run.

import { el } from "./dom.js";

const FENCE = /^(```|~~~)/;
const HEADING = /^(#{1,6}) +(.*)$/;
const ITEM = /^ {0,3}(?:[-*+]|(\d{1,9})[.)]) +(.*)$/;
const ROW = /^ *\|/;
const RULE = /^ {0,3}([-*_])(?: *\1){2,} *$/;
const QUOTE = /^> ?/;
const INLINE = /`([^`\n]+)`|\*\*([^*\n]+)\*\*|\*([^*\n]+)\*|\[([^\][\n]+)\]\(([^()\s]+)\)|(https?:\/\/[^\s<>()]+)/g;

/** Show a card in `place`; null empties it. */
export function showCard(place, markdown) {
  place.replaceChildren(...(markdown === null ? [] : blocks(markdown.split(/\r?\n/))));
}

/** Elements of these lines, in order. */
export function blocks(lines) {
  const made = [];
  let at = 0;
  const while_ = (test) => {
    const start = at;
    while (at < lines.length && test(lines[at])) at += 1;
    return lines.slice(start, at);
  };
  while (at < lines.length) {
    const line = lines[at];
    const heading = HEADING.exec(line);
    if (!line.trim()) at += 1;
    else if (FENCE.test(line)) {
      at += 1;
      made.push(el("pre", { tabindex: 0 }, el("code", {}, while_((next) => !FENCE.test(next)).join("\n"))));
      at += 1;
    } else if (heading) {
      at += 1;
      made.push(el(`h${Math.min(6, heading[1].length + 2)}`, {}, inline(heading[2].replace(/ +#+ *$/, "")))); // under the page's own
    } else if (RULE.test(line)) {
      at += 1;
      made.push(el("hr"));
    } else if (QUOTE.test(line)) made.push(el("blockquote", {}, blocks(while_((next) => QUOTE.test(next)).map((next) => next.replace(QUOTE, "")))));
    else if (ITEM.test(line)) made.push(list(while_((next) => ITEM.test(next) || /^ {2,}\S/.test(next))));
    else if (ROW.test(line)) made.push(table(while_((next) => ROW.test(next))));
    else made.push(el("p", {}, inline([line, ...(at += 1, while_(plain))].join(" "))));
  }
  return made;
}

function plain(line) {
  return line.trim() !== "" && ![FENCE, HEADING, ITEM, ROW, RULE, QUOTE].some((other) => other.test(line));
}

function list(lines) {
  const items = [];
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item) items.push(item[2]);
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  return el(ITEM.exec(lines[0])[1] ? "ol" : "ul", {}, items.map((item) => el("li", {}, inline(item))));
}

function table(lines) {
  const cells = lines.map((line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim()));
  const headed = cells.length > 1 && cells[1].every((cell) => /^:?-+:?$/.test(cell));
  const row = (kind, attributes) => (line) => el("tr", {}, line.map((cell) => el(kind, attributes, inline(cell))));
  const head = headed ? el("thead", {}, row("th", { scope: "col" })(cells[0])) : null;
  const body = el("tbody", {}, cells.slice(headed ? 2 : 0).map(row("td", {})));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table" }, el("table", {}, head, body));
}

function inline(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    parts.push(text.slice(end, match.index), span(match));
    end = match.index + match[0].length;
  }
  return [...parts, text.slice(end)];
}

function span([whole, code, strong, emphasis, label, target, address]) {
  if (code) return el("code", {}, code);
  if (strong) return el("strong", {}, strong);
  if (emphasis) return el("em", {}, emphasis);
  const href = address ?? target;
  if (!/^https?:\/\//i.test(href)) return whole; // a script or a file is no link here
  return el("a", { href, rel: "noopener noreferrer", target: "_blank" }, label ?? address);
}
