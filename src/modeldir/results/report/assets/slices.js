// Draws the metric over each hyperparameter, two hyperparameters against each other, and two metrics.

const pointViews = [];
const MOST_SLICES = 24;

function plot(canvas, height, xOf, yOf, more = {}) {
  let where = null;
  const draw = () => {
    const x = xOf(), y = yOf();
    const [g, width, tall, scale] = sheet(canvas, height);
    if (!x || !y) { where = null; return; }
    scaleOf(x);
    scaleOf(y);
    const box = axes(g, width, tall, x, y, { title: more.title?.(), x: more.below?.(), slots: more.slots, pad: 8 });
    const X = (i) => box.X(x.t[i] < 0 ? SLOT : Math.max(0, Math.min(1, x.t[i] + jitter(i) * x.width)));
    const Y_ = (i) => box.Y(y.t[i] < 0 ? SLOT : Math.max(0, Math.min(1, y.t[i] + (more.slots ? jitter(i + 7) * y.width : 0))));
    where = { X, Y: Y_ };
    points(g, scale, box, X, Y_);
    more.over?.(g, box, x, y);
    accents(g, X, Y_);
  };
  pointing(canvas, () => where);
  return draw;
}

// -- Slices ----------------------------------------------------------------------------------------

/** Returns the median of the metric in up to 12 intervals of the axis. */
function trend(g, box, x, y) {
  const some = byScore.filter((i) => mask[i] && x.t[i] >= 0);
  if (some.length < 8) return;
  g.strokeStyle = ink.text;
  g.lineWidth = 2;
  const median = (part) => { const ts = part.map((i) => y.t[i]).sort((a, b) => a - b); return ts[Math.floor(ts.length / 2)]; };
  const values = new Map();
  for (const i of some) { const t = x.t[i]; if (!values.has(t)) values.set(t, []); values.get(t).push(i); }
  if (x.isText && values.size > some.length / 3) return; // most values occur once
  if (x.isText || values.size <= 12) {
    for (const [t, part] of values) {
      const at = box.X(t), level = box.Y(median(part));
      g.beginPath(); g.moveTo(at - 8, level); g.lineTo(at + 8, level); g.stroke();
    }
  } else {
    const sorted = Array.from(some).sort((a, b) => x.t[a] - x.t[b]), parts = Math.min(12, Math.floor(sorted.length / 6));
    g.beginPath();
    for (let k = 0; k < parts; k++) {
      const part = sorted.slice(Math.floor((k * sorted.length) / parts), Math.floor(((k + 1) * sorted.length) / parts));
      g.lineTo(box.X(x.t[part[part.length >> 1]]), box.Y(median(part)));
    }
    g.stroke();
  }
  g.lineWidth = 1;
}

function buildSlices() {
  const told = (state.metric && D.importance.of[state.metric.name]) || [];
  const order = new Map(told.map(([name], place) => [name, place]));
  const some = [...plotted].sort((a, b) => (order.get(a.name) ?? 99) - (order.get(b.name) ?? 99));
  for (const column of some.slice(0, MOST_SLICES)) {
    const canvas = el("canvas", { role: "img", "aria-label": `the metric against ${column.name}` });
    const cell = el("div", {}, canvas);
    $("slices").append(cell);
    pointViews.push(view(cell, plot(canvas, 176, () => column, () => state.metric, { title: () => withLog(column), over: trend })));
  }
  const more = some.length - MOST_SLICES;
  $("slices-note").textContent = !varying.length ? "No hyperparameter varies." : !state.metric ? "There is no metric yet." : `${heading(state.metric)} against each hyperparameter${more > 0 ? `, the ${MOST_SLICES} most important of ${some.length}` : ""}; the line is the median. A click on a point chooses it.`;
}

// -- Pairs -----------------------------------------------------------------------------------------

const pair = { x: null, y: null };

function buildPair() {
  const told = (state.metric && D.importance.of[state.metric.name]) || [];
  const first = told.map(([name]) => byName.get(name)).filter((column) => column && plotted.includes(column));
  const some = [...plotted, ...metrics];
  pair.x = first[0] ?? some[0] ?? null;
  pair.y = first[1] ?? some.find((column) => column !== pair.x) ?? null;
  $("card-pair").hidden = !pair.y || some.length < 2;
  for (const [id, key] of [["pair-x", "x"], ["pair-y", "y"]]) {
    options($(id), some, pair[key]);
    $(id).addEventListener("change", () => { pair[key] = some[$(id).selectedIndex]; redraw(pair_); });
  }
}

function options(select, some, chosen) {
  select.replaceChildren(...some.map((column) => el("option", { selected: column === chosen }, column.name)));
}

const pair_ = view($("card-pair"), plot($("pair"), 330, () => pair.x, () => pair.y, {
  title: () => withLog(pair.y), below: () => withLog(pair.x), slots: true,
}));
pointViews.push(pair_);
savable($("card-pair"), "pair", $("pair"));

// -- Two metrics -----------------------------------------------------------------------------------

/** Draws the Pareto front of two metrics as a step line. */
function frontLine(g, box, x, y) {
  const some = [...front].sort((a, b) => x.v[a] - x.v[b]);
  g.strokeStyle = ink.best;
  g.fillStyle = ink.best;
  g.lineWidth = 1.5;
  g.beginPath();
  // The front of a minimized metric extends to the right: a larger value is possible too.
  if (!D.groups) some.forEach((i, k) => {
    const last = some[k - 1];
    if (k) g.lineTo(box.X(x.t[x.dir === "min" ? i : last]), box.Y(y.t[x.dir === "min" ? last : i]));
    g.lineTo(box.X(x.t[i]), box.Y(y.t[i]));
  });
  g.stroke();
  for (const i of some) {
    const at = [box.X(x.t[i]), box.Y(y.t[i])];
    g.beginPath(); g.moveTo(at[0], at[1] - 5); g.lineTo(at[0] + 5, at[1]); g.lineTo(at[0], at[1] + 5); g.lineTo(at[0] - 5, at[1]); g.closePath(); g.fill();
  }
  g.lineWidth = 1;
}

if (objectives.length > 1) {
  $("card-tradeoff").hidden = false;
  for (const [id, wide] of [["card-tradeoff", "w6"], ["card-pair", "w6"], ["card-slices", "w12"]]) $(id).className = `card ${wide}`;
  $("card-tradeoff").after($("card-pair"));
  const [x, y] = objectives.map((each) => each.column);
  pointViews.push(view($("card-tradeoff"), plot($("tradeoff"), 330, () => x, () => y, { title: () => heading(y), below: () => heading(x), over: frontLine })));
  savable($("card-tradeoff"), "tradeoff", $("tradeoff"));
}
