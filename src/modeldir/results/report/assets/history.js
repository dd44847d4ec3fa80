// Draws the best value so far, over experiments or over time.

/** Returns the x of each shown experiment: its index in the order, or the time since the first start. */
function ends() {
  const some = [];
  const byTime = $("history-over").value === "time";
  const began = Math.min(...D.started.filter((time) => time !== null));
  for (let i = 0; i < N; i++) {
    if (!mask[i] || score[i] < 0) continue;
    if (byTime) { if (D.started[i] !== null) some.push([D.started[i] - began + (duration?.v[i] || 0), i]); }
    else some.push([placeOf[i], i]);
  }
  return some.sort((a, b) => a[0] - b[0]);
}

/** Returns the order of the starts: by time, else by number, else as listed. */
const placeOf = new Int32Array(N);
Array.from({ length: N }, (_, i) => i)
  .sort((a, b) => (D.started[a] ?? Infinity) - (D.started[b] ?? Infinity) || (D.numbers[a] ?? Infinity) - (D.numbers[b] ?? Infinity) || a - b)
  .forEach((i, place) => (placeOf[i] = place + 1));

function timeScale(last) {
  const [unit, name] = last > 3 * 86400 ? [86400, "days"] : last > 3 * 3600 ? [3600, "hours"] : last > 180 ? [60, "minutes"] : [1, "seconds"];
  return { unit, name: `${name} since the first began` };
}

/** Makes an axis that is not a column. */
function plain(lo, hi, log = false) {
  const made = { name: "", isText: false, isMetric: false, log, lo, hi: hi > lo ? hi : lo + 1, hasSlot: false };
  const f = log ? Math.log10 : (x) => x, a = f(made.lo), span = f(made.hi) - a;
  made.place = (value) => (f(value) - a) / span;
  return made;
}

let historyAt = null;
function drawHistory() {
  const column = state.metric, [g, width, height, scale] = sheet($("history"), 240);
  historyAt = null;
  const some = column ? ends() : [];
  if (!some.length) return empty(g, width, height, column ? "nothing to show" : "there is no metric yet");
  const values = some.map(([, i]) => column.v[i]).filter(isFinite_).sort((a, b) => a - b);
  if (!values.length) return empty(g, width, height, "nothing to show");
  const at = (share) => values[Math.round(share * (values.length - 1))];
  const lo = column.dir === "min" ? values[0] : at(values.length >= 20 ? 0.1 : 0), hi = column.dir === "min" ? at(values.length >= 20 ? 0.9 : 1) : values[values.length - 1];
  const log = column.log && lo > 0, pad = log ? 1 : (hi - lo) * 0.05 || Math.abs(hi) * 0.05 || 1;
  const y = log ? plain(lo / 1.1, hi * 1.1, true) : plain(lo - pad, hi + pad);
  const byTime = $("history-over").value === "time", last = some[some.length - 1][0];
  const of = byTime ? timeScale(last) : { unit: 1, name: "experiments, in the order in which they began" };
  const x = plain(0, Math.max(last / of.unit, 1e-9));
  x.whole = !byTime;
  const box = axes(g, width, height, x, y, { title: heading(column) + (log ? " (log)" : ""), x: of.name });
  const place = new Map(some.map(([when, i]) => [i, when / of.unit]));
  const X = (i) => box.X(x.place(place.get(i) ?? 0));
  const Y_ = (i) => box.Y(Math.max(0, Math.min(1, y.place(column.v[i]))));
  g.save();
  const size = some.length > 3000 ? 1.2 : some.length > 400 ? 2.4 : 5;
  g.globalAlpha = some.length > 3000 ? 0.5 : 0.85;
  for (const [, i] of some) { g.fillStyle = css(ramp[Math.max(6, binOf(i))]); g.fillRect(X(i) - size / 2, Y_(i) - size / 2, size, size); }
  g.restore();
  g.strokeStyle = ink.best;
  g.lineWidth = 2.2;
  g.beginPath();
  let best = null, level = 0;
  if (column.dir) for (const [, i] of some) {
    if (best !== null && !beats(column, column.v[i], best)) continue;
    const next = Y_(i);
    if (best !== null) g.lineTo(X(i), level);
    g.lineTo(X(i), next);
    best = column.v[i];
    level = next;
  }
  if (best !== null) g.lineTo(box.right, level);
  g.stroke();
  g.lineWidth = 1;
  historyAt = { X: (i) => (place.has(i) ? X(i) : -99), Y: Y_ };
  accents(g, historyAt.X, historyAt.Y);
}

function empty(g, width, height, words) {
  g.fillStyle = ink.soft;
  g.textAlign = "center";
  g.fillText(words, width / 2, height / 2);
  g.textAlign = "left";
}

const history_ = view($("card-history"), drawHistory);
pointing($("history"), () => historyAt);
savable($("card-history"), "best_so_far", $("history"));
$("history-over").addEventListener("change", () => redraw(history_));
if (!D.started.some((time) => time !== null)) $("history-over").parentElement.hidden = true;
