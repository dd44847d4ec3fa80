// Parallel coordinates: an axis per hyperparameter, a line per experiment. Dragging along an axis keeps a range.

const TOP_PAD = 38, FOOT = 12, TALL = 330, LEAST = 92;
const stack = $("parallel"), [linesCanvas, overCanvas] = stack.querySelectorAll("canvas");
let axesOf = [], heights = [];

/** Returns the axes, the most important first, so that lines cross where it is informative. */
function chooseAxes() {
  const told = (state.metric && D.importance.of[state.metric.name]) || [];
  const order = new Map(told.map(([name], place) => [name, place]));
  const some = [...plotted].sort((a, b) => (order.get(a.name) ?? 99) - (order.get(b.name) ?? 99)).slice(0, 12);
  axesOf = [...some, ...(objectives.length > 1 ? objectives.map((each) => each.column) : state.metric ? [state.metric] : [])];
  for (const column of axesOf) scaleOf(column);
  heights = axesOf.map((column) => Float32Array.from({ length: N }, (_, i) => Y(drawnT(column, i))));
  overCanvas.setAttribute("aria-label", `one line per experiment; axes from the left: ${axesOf.map((column) => column.name).join(", ")}`);
}

const spread = () => {
  const least = document.documentElement.dataset.print ? 0 : axesOf.length * LEAST; // paper does not scroll
  const width = Math.max(stack.parentElement.clientWidth, least);
  const left = 46, right = 64;
  return { width, X: (a) => (axesOf.length < 2 ? width / 2 : left + (a * (width - left - right)) / (axesOf.length - 1)) };
};
const Y = (t) => (t < 0 ? TALL - FOOT : TOP_PAD + (1 - t) * (TALL - TOP_PAD - FOOT - 18));
const T = (y) => (y > TALL - FOOT - 9 ? SLOT : Math.max(0, Math.min(1, 1 - (y - TOP_PAD) / (TALL - TOP_PAD - FOOT - 18))));
const drawnT = (column, i) => { const t = column.t[i]; return t < 0 ? t : Math.max(0, Math.min(1, t + jitter(i) * column.width)); };

// -- Lines -----------------------------------------------------------------------------------------

function drawParallel() {
  const { width, X } = spread();
  stack.style.height = `${TALL}px`;
  stack.style.width = `${width}px`;
  const [g, , , scale] = sheet(linesCanvas, TALL, width);
  const xs = axesOf.map((_, a) => X(a));
  const ys = heights;
  if (shown < N) {
    g.strokeStyle = ink.line;
    g.globalAlpha = 0.6;
    const hidden = sample((i) => !mask[i], 600);
    strokeAll(g, hidden, xs, ys);
    g.globalAlpha = 1;
  }
  const unranked = sample((i) => mask[i] && score[i] < 0, 300);
  g.strokeStyle = ink.dim;
  g.setLineDash([2, 3]);
  g.globalAlpha = 0.5;
  strokeAll(g, unranked, xs, ys);
  g.setLineDash([]);
  g.globalAlpha = 1;
  if (byScore.length > 1200) dense(g, scale, width, xs, ys);
  else fine(g, xs, ys);
}

function sample(isWanted, most) {
  const found = [];
  for (let i = 0; i < N; i++) if (isWanted(i)) found.push(i);
  const step = Math.max(1, found.length / most);
  return Array.from({ length: Math.min(found.length, most) }, (_, k) => found[Math.floor(k * step)]);
}

function trace(g, i, xs, ys) {
  for (let a = 0; a < xs.length; a++) a ? g.lineTo(xs[a], ys[a][i]) : g.moveTo(xs[a], ys[a][i]);
}

function strokeAll(g, some, xs, ys) {
  g.beginPath();
  for (const i of some) trace(g, i, xs, ys);
  g.stroke();
}

/** Draws up to some hundred lines one by one, the best on top. */
function fine(g, xs, ys) {
  const thin = Math.max(0.25, Math.min(0.9, 120 / Math.max(1, shown)));
  for (let bin = 0; bin < BINS; bin++) {
    const some = byScore.filter((i) => mask[i] && binOf(i) === bin);
    if (!some.length) continue;
    g.strokeStyle = css(ramp[bin]);
    g.globalAlpha = thin + (1 - thin) * (bin / (BINS - 1)) ** 2;
    g.lineWidth = 1 + (bin / (BINS - 1)) ** 3;
    strokeAll(g, some, xs, ys);
  }
  g.globalAlpha = 1;
  g.lineWidth = 1;
}

/** Draws thousands of lines by counting per pixel, which is ten times as fast. The count of a pixel
 * decides how dense it is, and the best line through it decides the color. */
function dense(g, scale, width, xs, ys) {
  const w = Math.round(width * scale), h = Math.round(TALL * scale);
  const counts = new Uint16Array(w * h), tops = new Uint8Array(w * h);
  // During a drag only the good lines and some of the others are drawn, so that it stays fast.
  const stride = drag ? Math.ceil(shown / 2000) : 1;
  let lines = 0, passed = 0;
  for (const i of byScore) {
    if (!mask[i] || (score[i] < 0.35 && passed++ % stride)) continue;
    lines++;
    const bin = binOf(i) + 1;
    for (let a = 0; a + 1 < xs.length; a++) {
      let x = xs[a] * scale, y = ys[a][i] * scale;
      const dx = xs[a + 1] * scale - x, dy = ys[a + 1][i] * scale - y;
      const steps = Math.max(1, Math.ceil(Math.max(Math.abs(dx), Math.abs(dy) * 0.75)));
      const ax = dx / steps, ay = dy / steps;
      for (let k = 0; k < steps; k++, x += ax, y += ay) {
        const at = (y | 0) * w + (x | 0);
        if (counts[at] < 65535) counts[at]++;
        tops[at] = bin;
      }
    }
  }
  const image = new ImageData(w, h), data = image.data, full = Math.log1p(Math.max(3, lines / 60));
  for (let at = 0, k = 0; at < tops.length; at++, k += 4) {
    if (!tops[at]) continue;
    const good = (tops[at] - 1) / (BINS - 1), [red, green, blue] = ramp[tops[at] - 1];
    data[k] = red;
    data[k + 1] = green;
    data[k + 2] = blue;
    data[k + 3] = 255 * Math.min(1, 0.1 + 0.5 * Math.min(1, Math.log1p(counts[at]) / full) + 1.1 * good * good);
  }
  lay(g, image, 0, 0, scale);
}

// -- Axes, ranges and highlighted lines ------------------------------------------------------------

function drawOverlay() {
  const { width, X } = spread();
  const [g] = sheet(overCanvas, TALL, width);
  const xs = axesOf.map((_, a) => X(a));
  for (const [i, color, dash] of [[state.best, ink.best, []], [state.chosen, ink.accent, [6, 3]], [state.hover, ink.text, []]]) {
    if (i < 0 || (i === state.best && color === ink.accent)) continue;
    g.strokeStyle = color;
    g.setLineDash(dash);
    g.lineWidth = 2.4;
    g.beginPath();
    trace(g, i, xs, heights);
    g.stroke();
  }
  g.setLineDash([]);
  axesOf.forEach((column, a) => drawAxis(g, column, xs[a], a, width));
}

function drawAxis(g, column, x, a, width) {
  const room = axesOf.length > 1 ? (width - 110) / (axesOf.length - 1) : width;
  g.lineWidth = 1;
  g.strokeStyle = ink.soft;
  g.beginPath(); g.moveTo(x, Y(0)); g.lineTo(x, Y(1)); g.stroke();
  g.textAlign = "center";
  g.fillStyle = ink.text;
  g.font = `600 11px ${FONT}`;
  const half = Math.min(x, width - x, room / 2) - 2;
  g.fillText(fitted(g, column.isMetric ? heading(column) : column.name, Math.max(30, half * 2)), x, 12);
  g.font = `10px ${FONT}`;
  g.fillStyle = ink.soft;
  if (column.log) g.fillText("log", x, 25);
  g.textAlign = "left";
  const marks = ticks(column, 6);
  if (column.hasSlot) marks.push([SLOT, column.slotName]);
  for (const [t, text] of marks) {
    const fits = fitted(g, text, Math.max(20, Math.min(room - 14, width - x - 8)));
    g.lineWidth = 3;
    g.strokeStyle = ink.card;
    g.strokeText(fits, x + 6, Y(t) + 3);
    g.fillStyle = ink.text;
    g.fillText(fits, x + 6, Y(t) + 3);
    g.lineWidth = 1;
    g.strokeStyle = ink.soft;
    g.beginPath(); g.moveTo(x - 3, Y(t)); g.lineTo(x + 3, Y(t)); g.stroke();
  }
  const range = state.brushes.get(column);
  if (!range) return;
  const top = Y(Math.max(0, range[1])) - 3, bottom = (range[0] < 0 ? Y(SLOT) : Y(range[0])) + 3;
  g.fillStyle = ink.accent;
  g.globalAlpha = 0.25;
  g.fillRect(x - 8, top, 16, bottom - top);
  g.globalAlpha = 1;
  g.strokeStyle = ink.accent;
  g.lineWidth = 1.5;
  g.strokeRect(x - 8, top, 16, bottom - top);
}

// -- Dragging a range ------------------------------------------------------------------------------

let drag = null;

function axisAt(x) {
  const { X } = spread();
  let near = -1, least = 20;
  axesOf.forEach((_, a) => { const far = Math.abs(X(a) - x); if (far < least) [near, least] = [a, far]; });
  return near;
}

/** Extends a range on a categorical axis to each category that it touches. */
function snapped(column, lo, hi) {
  if (!column.isText || hi < 0) return [lo, hi];
  const count = column.dict.length, first = Math.floor(Math.max(0, lo) * count), last = Math.min(count - 1, Math.floor(hi * count));
  return [lo < 0 ? lo : first / count, (last + 1) / count];
}

overCanvas.addEventListener("pointerdown", (event) => {
  const a = axisAt(event.offsetX);
  if (a < 0 || event.button) return;
  const column = axesOf[a], t = T(event.offsetY), held = state.brushes.get(column);
  const inside = held && t >= held[0] - 0.01 && t <= held[1] + 0.01;
  drag = { column, from: t, y: event.offsetY, moved: false, held: inside ? [...held] : null };
  overCanvas.setPointerCapture(event.pointerId);
  event.preventDefault();
});

overCanvas.addEventListener("pointermove", (event) => {
  if (!drag) return pointAtLine(event);
  drag.moved ||= Math.abs(event.offsetY - drag.y) > 3;
  if (!drag.moved) return;
  const t = T(event.offsetY), { column, from, held } = drag;
  if (held) {
    const by = Math.max(-held[0], Math.min(1 - held[1], Math.max(0, t) - Math.max(0, from)));
    state.brushes.set(column, [held[0] + by, held[1] + by]);
  } else state.brushes.set(column, [Math.min(from, t), Math.max(from, t)]);
  tip(event, rangeText(column, state.brushes.get(column)));
  soon();
});

function endDrag() {
  if (!drag) return;
  const { column, moved } = drag;
  if (!moved) state.brushes.delete(column);
  else if (state.brushes.has(column)) state.brushes.set(column, snapped(column, ...state.brushes.get(column)));
  drag = null;
  $("tip").hidden = true;
  refilter();
}
overCanvas.addEventListener("pointerup", endDrag);
overCanvas.addEventListener("pointercancel", endDrag);
overCanvas.addEventListener("pointerleave", (event) => { if (!drag && state.hover >= 0) { state.hover = -1; tip(event, ""); redraw(overlay); } });
overCanvas.addEventListener("click", () => { if (state.hover >= 0) choose(state.hover); });

let waiting = false;
function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; refilter(); });
}

/** Returns the shown line next to the pointer. */
function pointAtLine(event) {
  const { X } = spread(), x = event.offsetX, y = event.offsetY;
  const a = axesOf.findIndex((_, k) => k + 1 < axesOf.length && x >= X(k) && x <= X(k + 1));
  overCanvas.style.cursor = axisAt(x) >= 0 ? "ns-resize" : "default";
  let near = -1, least = 6;
  if (a >= 0 && axisAt(x) < 0) {
    const share = (x - X(a)) / (X(a + 1) - X(a)), left = heights[a], right = heights[a + 1];
    for (const i of byScore) {
      if (!mask[i]) continue;
      const far = Math.abs(left[i] * (1 - share) + right[i] * share - y);
      if (far <= least) [near, least] = [i, far];
    }
  }
  tip(event, near < 0 ? "" : tipOf(near));
  if (near === state.hover) return;
  state.hover = near;
  redraw(overlay);
}

const parallel_ = view($("card-parallel"), drawParallel);
const overlay = view($("card-parallel"), drawOverlay);
savable($("card-parallel"), "parallel", linesCanvas, overCanvas);
