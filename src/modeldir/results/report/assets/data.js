// Unpacks the data (page_data.py makes them) and prepares the columns for the other scripts.

const $ = (id) => document.getElementById(id);

/** Makes an element with properties and children. A string becomes a text node, never markup. */
function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name in made && !name.includes("-")) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

async function unpacked(text) {
  if (text[0] === "{") return JSON.parse(text);
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

let D;
try {
  D = await unpacked($("data").textContent.trim());
} catch (error) {
  $("broken").textContent = `This browser cannot unpack the report's data (${error.message}). Use a newer one.`;
  $("broken").hidden = false;
  return;
}
document.documentElement.dataset.live = "true";

const N = D.n;
const RANKED = new Set(["completed", "untracked"]);
const GLYPHS = {
  completed: "●", untracked: "○", running: "▶", pending: "…", pruned: "✂", failed: "✕", interrupted: "‖",
};
const NOT_FINITE = new Map([["nan", NaN], ["inf", Infinity], ["-inf", -Infinity]]);

const status = (i) => D.status.dict[D.status.i[i]];
const isRanked = Uint8Array.from({ length: N }, (_, i) => (RANKED.has(status(i)) ? 1 : 0));
const isNumber = (value) => typeof value === "number";
const isFinite_ = (value) => typeof value === "number" && Number.isFinite(value);

/** Decodes a column: afterwards `v` holds its value for each experiment. */
function prepared(column) {
  const texts = column.dict;
  column.isText = Boolean(texts);
  if (texts) column.v = column.i.map((place) => (place < 0 ? null : texts[place]));
  else column.v = column.v.map((value) => (NOT_FINITE.has(value) ? NOT_FINITE.get(value) : value));
  column.isMetric = column.kind === "metric" || column.kind === "other";
  column.marked = new Set(column.marked || []);
  return column;
}

const columns = D.columns.map(prepared);
const byName = new Map(columns.map((column) => [column.name, column]));
const objectives = D.objectives.map(([name, way]) => ({ column: byName.get(name), way }));
for (const { column, way } of objectives) column.dir = way;
const metrics = columns.filter((column) => column.kind === "metric");
const hypers = columns.filter((column) => column.kind === "hyper");
const varying = hypers.filter((column) => column.varies);
/** The hyperparameters that are drawn. With repeats, the seed is not one of them. */
const plotted = varying.filter((column) => !(D.groups && column.name === "seed"));
const duration = columns.find((column) => column.kind === "time");

/** Formats a value: few digits for a measured number, all digits for a chosen one. */
function written(value, digits = 6) {
  if (value === null || value === undefined) return "–";
  if (!isNumber(value)) return String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  if (value === 0 || (Number.isInteger(value) && size < 1e9)) return String(value);
  if (size >= 1e9 || size < 1e-3) return String(Number(value.toPrecision(digits)).toExponential()).replace("e+", "e");
  return String(Number(value.toPrecision(digits)));
}

function timeText(seconds) {
  if (!isFinite_(seconds)) return written(seconds);
  const two = (value) => String(value).padStart(2, "0");
  if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
  const s = Math.round(seconds), m = Math.floor(s / 60), h = Math.floor(m / 60);
  if (s < 60) return `${s}s`;
  if (m < 60) return `${m}m ${two(s % 60)}s`;
  return h < 24 ? `${h}h ${two(m % 60)}m` : `${Math.floor(h / 24)}d ${two(h % 24)}h`;
}

function cellText(column, i) {
  const value = column.v[i];
  if (column.kind === "time") return timeText(value);
  return written(value, column.isMetric ? 5 : 6) + (column.marked.has(i) ? "*" : "");
}

const heading = (column) => column.name + (column.isMetric && column.dir ? (column.dir === "max" ? " ↑" : " ↓") : "");

/** Returns a trial's name in a sentence: its number, and its folder's name if that says more. */
function titleOf(i) {
  const number = D.numbers[i], name = D.names[i];
  if (number === null || number === undefined) return name;
  return name === `trial_${String(number).padStart(4, "0")}` ? `trial ${number}` : `trial ${number} (${name})`;
}
const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

/** Returns the link from the page to a file of an experiment; null if there is none. */
function link(i, file) {
  if (D.folder === null) return null;
  const path = `${D.folder}/${D.paths[i] ?? D.names[i]}${file ? `/${file}` : ""}`;
  return path.split("/").map(encodeURIComponent).join("/");
}

// -- The best experiment ---------------------------------------------------------------------------

/** Returns whether a value is better than another, in the metric's direction. NaN and null never are. */
function beats(column, a, b) {
  if (!isNumber(a) || Number.isNaN(a)) return false;
  if (!isNumber(b) || Number.isNaN(b)) return true;
  return column.dir === "min" ? a < b : a > b;
}

const groups = [];
if (D.groups) D.groups.forEach((group, i) => (groups[group] ||= []).push(i));
const groupOf = (i) => (D.groups ? groups[D.groups[i]] : [i]);

function meanOf(column, members) {
  const values = members.filter((i) => isRanked[i] && isNumber(column.v[i])).map((i) => column.v[i]);
  if (!values.length) return null;
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const squares = values.reduce((a, b) => a + (b - mean) ** 2, 0);
  return { mean, sd: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : null, n: values.length };
}

/** Returns the best experiment by a metric; with repeats, the best repeat of the best mean. */
function bestBy(column) {
  if (!column || !column.dir) return -1;
  let best = -1, value = null;
  const numberOf = (i) => D.numbers[i] ?? Infinity;
  const isBetter = (i, mine) => beats(column, mine, value) || (mine === value && best >= 0 && numberOf(i) < numberOf(best));
  for (let i = 0; i < N; i++) {
    if (!isRanked[i]) continue;
    const members = groupOf(i), mine = members.length > 1 ? meanOf(column, members)?.mean : column.v[i];
    if (!isNumber(mine)) continue;
    if (isBetter(i, mine)) [best, value] = [i, mine];
  }
  if (best >= 0) for (const i of groupOf(best)) if (isRanked[i] && beats(column, column.v[i], column.v[best])) best = i;
  return best;
}

/** Returns the Pareto front: experiments that no other beats in all ranked metrics. It is empty with
 * one metric. Repeats count by their mean, so all repeats of a configuration are on it or none. */
function paretoFront() {
  if (objectives.length < 2) return new Set();
  const known = [];
  for (const members of D.groups ? groups : Array.from({ length: N }, (_, i) => [i])) {
    const cost = objectives.map(({ column }) => (column.dir === "min" ? 1 : -1) * (meanOf(column, members)?.mean ?? NaN));
    if (!cost.some(Number.isNaN)) known.push([cost, members]);
  }
  known.sort(([a], [b]) => { for (let k = 0; k < a.length; k++) if (a[k] !== b[k]) return a[k] - b[k]; return 0; });
  const kept = [];
  for (const [mine, members] of known) {
    const isBeaten = kept.some(([other]) => other.every((value, k) => value <= mine[k]) && other.some((value, k) => value < mine[k]));
    if (!isBeaten) kept.push([mine, members]);
  }
  return new Set(kept.flatMap(([, members]) => members.filter((i) => isRanked[i])));
}
const front = paretoFront();

// -- The state of the page -------------------------------------------------------------------------

const state = {
  metric: objectives[0]?.column ?? metrics[0] ?? null,
  query: "",
  hidden: new Set(),
  brushes: new Map(),
  sort: null,
  grouped: Boolean(D.groups),
  best: -1,
  chosen: -1,
  hover: -1,
  marked: [],
};
const mask = new Uint8Array(N).fill(1);
let shown = N;

/** Computes the best experiment, and a score for each from the logarithm of its rank: 1 for the best,
 * near 0 for the last, -1 without a value. The logarithm makes the ten best of 10,000 stand out. */
const score = new Float32Array(N);
let byScore = new Int32Array(0);
function rank() {
  const column = state.metric;
  state.best = bestBy(column);
  score.fill(-1);
  const known = [];
  if (column) for (let i = 0; i < N; i++) if (isRanked[i] && isNumber(column.v[i]) && !Number.isNaN(column.v[i])) known.push(i);
  const sign = column?.dir === "min" ? 1 : -1;
  known.sort((a, b) => sign * (column.v[a] - column.v[b]));
  known.forEach((i, place) => (score[i] = known.length < 2 ? 1 : 1 - Math.log1p(place) / Math.log1p(known.length - 1)));
  byScore = Int32Array.from(known.reverse());
}
