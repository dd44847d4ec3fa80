// Draws the learning curves of the shown experiments, as far as the page contains them.

const drawnCurves = [];
let series = 0;

/** Returns the steps and values of one curve. Evenly spaced steps are stored as first and distance. */
function curveOf(i, k) {
  const told = D.curves.of[i]?.[k];
  if (!told) return null;
  const [even, steps, values] = told;
  const plainValues = values.map((value) => (NOT_FINITE.has(value) ? NOT_FINITE.get(value) : value));
  return { steps: even ? plainValues.map((_, n) => steps[0] + n * steps[1]) : steps, values: plainValues };
}

function drawCurves() {
  const [g, width, height] = sheet($("curves"), 240);
  drawnCurves.length = 0;
  for (const key of Object.keys(D.curves.of)) {
    const i = Number(key), curve = mask[i] ? curveOf(i, series) : null;
    if (curve) drawnCurves.push({ i, ...curve });
  }
  if (!drawnCurves.length) return empty(g, width, height, Object.keys(D.curves.of).length ? "the page contains no curve of the shown experiments" : "no metrics.jsonl was found");
  const values = drawnCurves.flatMap((curve) => curve.values).filter(isFinite_).sort((a, b) => a - b);
  const at = (share) => values[Math.round(share * (values.length - 1))];
  let lo = values[0], hi = values[values.length - 1];
  if (values.length > 50 && hi - at(0.98) > 3 * (at(0.98) - at(0.02))) hi = at(0.98);
  if (values.length > 50 && at(0.02) - lo > 3 * (at(0.98) - at(0.02))) lo = at(0.02);
  const log = lo > 0 && at(0.98) / Math.max(1e-300, at(0.02)) > 50;
  const y = plain(lo, hi, log);
  const steps = drawnCurves.flatMap((curve) => [curve.steps[0], curve.steps[curve.steps.length - 1]]);
  const x = plain(Math.min(...steps), Math.max(...steps));
  x.whole = steps.every(Number.isInteger);
  const box = axes(g, width, height, x, y, { title: D.curves.names[series] + (log ? " (log)" : ""), x: "step" });
  drawnCurves.sort((a, b) => score[a.i] - score[b.i]);
  g.save();
  g.beginPath(); g.rect(box.left, box.top, box.right - box.left, box.bottom - box.top); g.clip();
  const line = (curve, color, thick, alpha, dash) => {
    g.strokeStyle = color;
    g.lineWidth = thick;
    g.globalAlpha = alpha;
    g.setLineDash(dash);
    g.beginPath();
    let pen = false;
    curve.values.forEach((value, k) => {
      if (!isFinite_(value) || (log && value <= 0)) { pen = false; return; }
      const px = box.X(x.place(curve.steps[k])), py = box.Y(y.place(value));
      if (pen) g.lineTo(px, py);
      else g.moveTo(px, py);
      pen = true;
    });
    g.stroke();
  };
  const bands = state.grouped && D.groups ? bandsOf(drawnCurves) : [];
  for (const { curve, low, high } of bands) band(g, curve, low, high, (step) => box.X(x.place(step)), (value) => box.Y(Math.max(0, Math.min(1, y.place(log ? Math.max(value, lo) : value)))));
  for (const { curve } of bands) line(curve, colorOf(curve.i), 2, 0.95, []);
  const inBand = new Set(bands.flatMap(({ members }) => members));
  for (const curve of drawnCurves) if (!inBand.has(curve.i)) line(curve, colorOf(curve.i), 1.2, drawnCurves.length > 30 ? 0.65 : 0.95, score[curve.i] < 0 ? [2, 3] : []);
  for (const [i, color, dash] of [[state.best, ink.best, []], [state.chosen, ink.accent, [6, 3]]]) {
    const curve = drawnCurves.find((each) => each.i === i);
    if (curve && (color === ink.best || i !== state.best)) line(curve, color, 2.6, 1, dash);
  }
  g.restore();
  for (const curve of drawnCurves) curve.points = curve.values.map((value, k) => [box.X(x.place(curve.steps[k])), box.Y(y.place(value))]);
}

/** Returns the mean of repeats at their common steps, and a band of one standard deviation. */
function bandsOf(all) {
  const together = new Map();
  for (const curve of all) { const group = D.groups[curve.i]; if (!together.has(group)) together.set(group, []); together.get(group).push(curve); }
  const made = [];
  for (const several of together.values()) {
    const [first] = several;
    if (several.length < 2 || several.some((curve) => curve.steps.some((step, k) => k < first.steps.length && step !== first.steps[k]))) continue;
    const length = Math.min(...several.map((curve) => curve.values.length)), means = [], low = [], high = [];
    for (let k = 0; k < length; k++) {
      const here = several.map((curve) => curve.values[k]), mean = here.reduce((a, b) => a + b, 0) / here.length;
      const sd = Math.sqrt(here.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (here.length - 1));
      means.push(mean);
      low.push(mean - sd);
      high.push(mean + sd);
    }
    const members = several.map((curve) => curve.i);
    made.push({ members, low, high, curve: { i: bestMember(members), steps: first.steps.slice(0, length), values: means } });
  }
  return made.sort((a, b) => score[a.curve.i] - score[b.curve.i]);
}

function band(g, curve, low, high, X, Y_) {
  g.fillStyle = colorOf(curve.i);
  g.globalAlpha = 0.22;
  g.beginPath();
  curve.steps.forEach((step, k) => g.lineTo(X(step), Y_(high[k])));
  [...curve.steps].reverse().forEach((step, k) => g.lineTo(X(step), Y_(low[low.length - 1 - k])));
  g.fill();
}

const curves_ = view($("card-curves"), drawCurves);

function curveAt(event) {
  let near = null, least = 100;
  for (const curve of drawnCurves) for (const [x, y] of curve.points || []) {
    const far = (x - event.offsetX) ** 2 + (y - event.offsetY) ** 2;
    if (far < least) [near, least] = [curve, far];
  }
  return near;
}
$("curves").addEventListener("pointermove", (event) => { const curve = curveAt(event); tip(event, curve ? tipOf(curve.i) : ""); });
$("curves").addEventListener("pointerleave", (event) => tip(event, ""));
$("curves").addEventListener("click", (event) => { const curve = curveAt(event); if (curve) choose(curve.i); });
savable($("card-curves"), "curves", $("curves"));

function buildCurves() {
  const words = (D.groups ? " Of repeats: their mean, and one standard deviation to either side." : "") + (state.best in D.curves.of ? " Orange is the best, dashed the chosen one." : "");
  const names = D.curves.names, count = Object.keys(D.curves.of).length;
  $("curves-of").replaceChildren(...names.map((name) => el("option", {}, name)));
  $("curves-of").parentElement.hidden = names.length < 2;
  $("curves-of").addEventListener("change", () => { series = $("curves-of").selectedIndex; redraw(curves_); });
  $("curves-note").textContent = !count ? "" : D.curves.all ? words.trim() : `The page contains ${plural(count, "curve")}: those of the best experiments, and some of the others.${words}`;
}
