// A version's report as it came, made sure of: whoever wrote the file, what is drawn has these shapes and sizes.

const SCHEMA = 1;
const MOST = 100; // entries of a list
const TABLE = 30; // classes of a confusion
const LETTERS = 300;

/** What is wrong with a report, in words for people. */
export class Unreadable extends Error {}

/** The report with what is needed of it and nothing else; raises Unreadable. */
export function read(given) {
  const from = fields(given, "it");
  if (from.schema_version !== SCHEMA) throw new Unreadable(`it is of schema ${brief(from.schema_version)}, and this page reads ${SCHEMA}`);
  const classes = list(from, "classes", MOST, (one, at) => ({
    name: text(one.name, `${at}.name`),
    images: count(one.images, `${at}.images`),
    recall: optional(one.recall, share, `${at}.recall`),
    precision: optional(one.precision, share, `${at}.precision`),
  }));
  return {
    source: text(from.source, "source"),
    judgedBy: text(from.judged_by, "judged_by"),
    images: count(from.images, "images"),
    accuracy: estimate(from.accuracy, "accuracy"),
    balanced: estimate(from.balanced_accuracy, "balanced_accuracy"),
    classCount: count(from.class_count, "class_count"),
    classes,
    confusion: optional(from.confusion, (rows) => table(rows, classes.length), "confusion"),
    confused: list(from, "confused", MOST, (one, at) => ({
      truth: text(one.true, `${at}.true`),
      answer: text(one.answer, `${at}.answer`),
      share: share(one.share, `${at}.share`),
    })),
    calibration: list(from, "calibration", MOST, (one, at) => ({
      probability: share(one.probability, `${at}.probability`),
      right: share(one.right, `${at}.right`),
      images: count(one.images, `${at}.images`),
    })),
    thresholds: list(from, "thresholds", MOST, (one, at) => ({
      probability: share(one.probability, `${at}.probability`),
      right: share(one.right, `${at}.right`),
      kept: share(one.kept, `${at}.kept`),
    })),
    learning: list(from, "learning", MOST, (one, at) => ({
      images: count(one.images, `${at}.images`),
      accuracy: share(one.accuracy, `${at}.accuracy`),
    })),
    remarks: array(from.remarks ?? [], "remarks", MOST).map((one) => text(one, "remarks")),
  };
}

function fields(value, at) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Unreadable(`${at} is not a set of named values`);
  return value;
}

function array(value, at, most) {
  if (!Array.isArray(value)) throw new Unreadable(`${at} is not a list`);
  if (value.length > most) throw new Unreadable(`${at} has ${value.length} entries, and ${most} are the most`);
  return value;
}

function list(from, name, most, one) {
  return array(from[name] ?? [], name, most).map((each) => one(fields(each, name), name));
}

function table(rows, classes) {
  const checked = array(rows, "confusion", TABLE).map((row) => array(row, "confusion", TABLE).map((value) => count(value, "confusion")));
  if (checked.length !== classes || checked.some((row) => row.length !== classes)) throw new Unreadable("confusion does not fit the classes");
  return checked;
}

function estimate(value, at) {
  const { value: own, low, high } = fields(value, at);
  return { value: share(own, at), low: optional(low, share, at), high: optional(high, share, at) };
}

const optional = (value, check, at) => (value === undefined || value === null ? null : check(value, at));

function share(value, at) {
  return number(value, at, 1);
}

function count(value, at) {
  return number(value, at, 1e12);
}

function number(value, at, most) {
  if (typeof value !== "number" || !(value >= 0 && value <= most)) throw new Unreadable(`${at} is not a number from 0 to ${most}, but ${brief(value)}`);
  return value;
}

function text(value, at) {
  if (typeof value !== "string") throw new Unreadable(`${at} is not a text`);
  return value.length > LETTERS ? `${value.slice(0, LETTERS - 1)}…` : value;
}

function brief(value) {
  return (JSON.stringify(value) ?? "nothing").slice(0, 40);
}
