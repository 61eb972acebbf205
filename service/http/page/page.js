// The page: which model and version, and who is told when that changes.

import * as api from "./api.js";
import { bytes, el, percent } from "./dom.js";
import { showCard } from "./card.js";
import { rivals } from "./compare.js";
import { startLive } from "./live.js";
import { Pictures } from "./pictures.js";
import { refuseReport, showReport } from "./report.js";
import { showSpectrum } from "./spectrum.js";

const $ = (id) => document.getElementById(id);
const chosen = { model: null, version: null, shown: null, rivals: [] };
const pictures = new Pictures(() => chosen);
const SOME = 12; // classes that are named of many
let turn = 0; // answers to an earlier choice are dropped

async function start() {
  try {
    const models = await api.models();
    $("key-form").hidden = true;
    $("model").replaceChildren(...models.map(({ name }) => el("option", { value: name }, name)));
    $("model").disabled = models.length === 0;
    if (models.length === 0) return pictures.say("No model is in the repository yet.");
    $("model").value = (models.find((model) => model.default) ?? models[0]).name;
    await chooseModel();
    startLive($("live"), $("live-note"), () => chosen);
  } catch (error) {
    pictures.say(error.message);
  }
}

async function chooseModel() {
  const mine = ++turn;
  const name = $("model").value;
  const [{ versions, split }, models] = await Promise.all([api.model(name), api.models()]);
  if (mine !== turn) return;
  const ready = versions.filter(({ state }) => state !== "broken");
  const newest = ready.at(-1);
  const options = versions.toReversed().map(({ version, state }) =>
    el("option", { value: version, disabled: state === "broken" }, state === "ready" ? `${version}` : `${version} (${state})`),
  );
  $("version").replaceChildren(
    el("option", { value: "", disabled: !newest }, newest ? `newest (${newest.version})` : "none is ready"),
    ...options,
  );
  $("version").disabled = false;
  showReason(versions.filter(({ state }) => state === "broken"), split ?? []);
  chosen.versions = ready;
  chosen.split = split;
  chosen.rivals = rivals(models, name);
  await chooseVersion();
}

async function chooseVersion() {
  const mine = ++turn;
  const text = $("version").value;
  chosen.model = $("model").value;
  chosen.version = text === "" ? null : Number(text);
  const detail = chosen.versions.find(({ version }) => version === chosen.version) ?? chosen.versions.at(-1);
  chosen.shown = detail?.version ?? null;
  pictures.allow(Boolean(detail));
  showFacts(detail);
  const brings = (name) => detail?.documents?.includes(name); // what is not there is not asked for
  const parts = await Promise.all([
    brings("card") ? orNull(api.card(chosen.model, detail.version)) : null,
    brings("report") ? api.report(chosen.model, detail.version).catch(whyNot) : null,
    brings("spectrum") ? orNull(api.spectrum(chosen.model, detail.version)) : null,
  ]);
  if (mine !== turn) return;
  showCard($("card"), parts[0]);
  $("card-details").hidden = parts[0] === null;
  $("report-panel").hidden = parts[1] === null;
  if (parts[1] instanceof Error) refuseReport($("report"), parts[1].message);
  else if (parts[1] !== null) showReport($("report"), parts[1], detail.certainty);
  showSpectrum($("spectrum"), parts[2]);
}

/** The error of a report: what is no JSON says so in words. */
const whyNot = (error) => (error instanceof SyntaxError ? new Error("its file is no JSON") : error);
const orNull = (promise) => promise.catch(() => null);

function showReason(broken, split) {
  const out = split.filter((part) => part.taken_out);
  $("reason").hidden = broken.length + out.length === 0;
  $("reason").textContent = [
    ...broken.map(({ version, reason }) => `Version ${version} is left out: ${reason}`),
    ...out.map((part) => `Version ${part.version} is taken out of the split: ${part.taken_out}`),
  ].join("\n");
}

function showFacts(detail) {
  const facts = detail
    ? {
        Architecture: detail.architecture,
        Precision: [detail.precision, detail.size_bytes && bytes(detail.size_bytes)].filter(Boolean).join(", "),
        Parameters: detail.parameters?.toLocaleString("en"),
        "Tells apart": classes(detail.labels ?? []),
        "Trained on": detail.metrics?.trained_on,
        Input: input(detail.pixels),
        "Runs on": !detail.device ? "not in memory: the next request loads it" : detail.device === "cpu" ? "CPU" : `${detail.device}, ${detail.provider?.replace("ExecutionProvider", "")}`,
        "Largest batch": detail.policy && `${detail.policy.max_size}`,
        Accuracy: accuracy(detail.metrics),
        Split: chosen.split?.map((part) => `version ${part.version}: ${percent(part.in_force)}`).join(", "),
        Licence: detail.license,
      }
    : {};
  const rows = Object.entries(facts).filter(([, value]) => value);
  $("facts").replaceChildren(...rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** The classes by name, the first ones of many. */
function classes(labels) {
  const some = labels.slice(0, SOME).join(", ");
  return labels.length > SOME ? `${some}, … (${labels.length} classes)` : some;
}

/** What a picture is made into before the model sees it. */
function input(pixels) {
  if (!pixels) return null;
  return `${pixels.width} × ${pixels.height} pixels, ${pixels.mode === "L" ? "grey" : "colour"}; yours is made to fit`;
}

function accuracy(metrics) {
  const top1 = metrics?.test?.top1;
  return typeof top1 === "number" ? `${percent(top1)} top-1, ${metrics.test.source ?? "test images"}` : null;
}

const reported = (action) => () => action().catch((error) => pictures.say(error.message));
$("model").addEventListener("change", reported(chooseModel));
$("version").addEventListener("change", reported(chooseVersion));
$("choice").addEventListener("submit", (event) => event.preventDefault());
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.keepKey($("key").value.trim());
  $("key").value = "";
  start();
});
document.addEventListener("key-wanted", () => {
  api.keepKey(null);
  $("key-form").hidden = false;
});
start();
