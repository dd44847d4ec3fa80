// Shared by all drawings: when they are drawn, colors, axes, and the tooltip.

// -- When to draw ----------------------------------------------------------------------------------

const views = [];
let frame = 0, looked = false;

/** Registers a drawing. It is drawn when it is visible and something has changed. */
function view(element, draw) {
  const made = { element, draw, due: true, inSight: false };
  views.push(made);
  sight.observe(element);
  return made;
}

const sight = new IntersectionObserver((entries) => {
  for (const entry of entries) for (const each of views) if (each.element === entry.target) each.inSight = entry.isIntersecting;
  looked = true;
  schedule();
}, { rootMargin: "200px" });

function redraw(...some) {
  for (const each of some.length ? some : views) each.due = true;
  schedule();
}

function schedule() {
  document.documentElement.dataset.busy = "true";
  if (!frame) frame = requestAnimationFrame(drawDue);
}

/** Draws some of them in each frame, so that the page stays responsive. */
function drawDue() {
  frame = 0;
  const began = performance.now();
  for (const each of views) {
    if (!each.due || !each.inSight) continue;
    if (performance.now() - began > 24) return schedule();
    each.due = false;
    each.draw();
  }
  if (looked && !timers.size) document.documentElement.dataset.busy = "false";
}

const timers = new Map();
/** Debounces a function: it runs when no further key or resize has come for a while. */
function later(name, wait, work) {
  clearTimeout(timers.get(name));
  document.documentElement.dataset.busy = "true";
  timers.set(name, setTimeout(() => { timers.delete(name); work(); schedule(); }, wait));
}

function drawAll() {
  for (const each of views) { each.due = false; each.draw(); }
}

// -- Colors ----------------------------------------------------------------------------------------

const ink = {};
/** From low to high contrast with the background, so that the order can be read without color. */
const RAMPS = {
  light: [[192, 202, 216], [150, 183, 215], [88, 146, 200], [38, 98, 172], [44, 38, 118]],
  dark: [[72, 84, 106], [46, 88, 126], [42, 138, 150], [112, 194, 110], [250, 230, 60]],
};
const BINS = 32;
let ramp = [];

function readInk() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["page", "card", "text", "soft", "line", "accent", "best", "dim", "bad"]) ink[name] = style.getPropertyValue(`--${name}`).trim();
  const stops = RAMPS[document.documentElement.dataset.theme === "dark" ? "dark" : "light"];
  ramp = Array.from({ length: BINS }, (_, bin) => {
    const x = (bin / (BINS - 1)) * (stops.length - 1), k = Math.min(stops.length - 2, Math.floor(x));
    return stops[k].map((value, c) => Math.round(value + (stops[k + 1][c] - value) * (x - k)));
  });
}
const binOf = (i) => Math.min(BINS - 1, Math.floor(score[i] * BINS));
const css = (rgb) => `rgb(${rgb.join(" ")})`;
const colorOf = (i) => (score[i] < 0 ? ink.dim : css(ramp[binOf(i)]));

// -- Canvas ----------------------------------------------------------------------------------------

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** Clears a canvas, and resizes it to its width in the page. Returns its context in page units. */
function sheet(canvas, height, width = canvas.clientWidth) {
  const scale = Math.min(2, window.devicePixelRatio || 1);
  canvas.style.height = `${height}px`;
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.round(height * scale);
  const g = canvas.getContext("2d");
  g.scale(scale, scale);
  g.font = `11px ${FONT}`;
  g.lineJoin = "round";
  return [g, width, height, scale];
}

function fitted(g, text, room) {
  if (g.measureText(text).width <= room) return text;
  let size = Math.max(1, Math.floor(text.length * room / g.measureText(text).width) - 1);
  while (size > 1 && g.measureText(`${text.slice(0, size)}…`).width > room) size--;
  return `${text.slice(0, size)}…`;
}

/** Draws the frame of a plot: its box and both axes with ticks. `x` and `y` are like columns. */
function axes(g, width, height, x, y, names = {}) {
  const marks = ticks(y, Math.max(2, Math.floor(height / 36)));
  const most = Math.max(24, ...marks.map(([, text]) => g.measureText(text).width));
  const box = { left: Math.min(most, 90) + 10, top: names.title ? 27 : 10, right: width - 12, bottom: height - (names.x ? 34 : 20) };
  // A margin keeps values at the very ends, and missing ones, away from the frame.
  const pad = names.pad ?? 0, first = box.left + pad + (x.hasSlot && pad ? 14 : 0);
  const foot = box.bottom - (names.slots ? pad + (y.hasSlot ? 12 : 0) : 0), head = box.top + (names.slots ? pad : 0);
  box.X = (t) => (t < 0 ? box.left + pad : first + t * (box.right - pad - first));
  box.Y = (t) => (t < 0 ? box.bottom - pad : foot - t * (foot - head));
  g.lineWidth = 1;
  g.textBaseline = "middle";
  g.textAlign = "right";
  for (const [t, text] of marks) {
    if (t < -1e-6 || t > 1 + 1e-6) continue;
    g.strokeStyle = ink.line;
    g.beginPath(); g.moveTo(box.left, box.Y(t)); g.lineTo(box.right, box.Y(t)); g.stroke();
    g.fillStyle = ink.soft;
    g.fillText(fitted(g, text, 84), box.left - 6, box.Y(t));
  }
  let free = -Infinity;
  const across = ticks(x, Math.max(2, Math.floor((box.right - box.left) / 55)));
  const room = across.length > 1 ? Math.max(28, (box.right - box.left) / across.length - 4) : 160;
  for (const [t, raw] of across) {
    if (t < -1e-6 || t > 1 + 1e-6) continue;
    const text = fitted(g, raw, x.isText ? room : 160), half = g.measureText(text).width / 2;
    const at = Math.max(box.left + half - 8, Math.min(width - 2 - half, box.X(t)));
    g.strokeStyle = ink.line;
    g.beginPath(); g.moveTo(box.X(t), box.bottom); g.lineTo(box.X(t), box.bottom + 4); g.stroke();
    if (at - half < free + 4) continue;
    g.fillStyle = ink.soft;
    g.textAlign = "center";
    g.fillText(text, at, box.bottom + 11);
    free = at + half;
  }
  g.strokeStyle = ink.line;
  g.strokeRect(box.left, box.top, box.right - box.left, box.bottom - box.top);
  g.textAlign = "left";
  if (names.title) {
    g.fillStyle = ink.text;
    g.font = `600 11px ${FONT}`;
    g.fillText(fitted(g, names.title, width - box.left - 4), box.left, 10);
    g.font = `11px ${FONT}`;
  }
  if (names.x) {
    g.fillStyle = ink.soft;
    g.textAlign = "center";
    g.fillText(fitted(g, names.x, width - 8), (box.left + box.right) / 2, height - 7);
    g.textAlign = "left";
  }
  g.textBaseline = "alphabetic";
  return box;
}

const withLog = (column) => column.name + (column.log ? " (log)" : "");

/** Draws many dots at once by writing pixels. The best are written last, on top. */
function points(g, scale, box, X, Y) {
  if (N <= 1500) return fewPoints(g, X, Y);
  const left = Math.floor(box.left * scale), top = Math.floor((box.top - 2) * scale);
  const wide = Math.ceil((box.right - box.left) * scale) + 1, high = Math.ceil((box.bottom - box.top + 4) * scale) + 1;
  const image = new ImageData(wide, high), data = image.data, size = Math.round(2 * scale);
  const put = (i, [red, green, blue], alpha) => {
    const x = Math.round(X(i) * scale) - left - 1, y = Math.round(Y(i) * scale) - top - 1;
    for (let a = 0; a < size; a++) for (let b = 0; b < size; b++) {
      if (x + a < 0 || x + a >= wide || y + b < 0 || y + b >= high) continue;
      const k = ((y + b) * wide + x + a) * 4;
      const new_ = data[k + 3] === 0 ? 1 : alpha;
      data[k] += (red - data[k]) * new_;
      data[k + 1] += (green - data[k + 1]) * new_;
      data[k + 2] += (blue - data[k + 2]) * new_;
      data[k + 3] = Math.max(data[k + 3], 255 * alpha);
    }
  };
  const pale = rgbOf(ink.line);
  if (shown < N) for (const i of byScore) if (!mask[i]) put(i, pale, 0.6);
  for (const i of byScore) if (mask[i]) put(i, ramp[binOf(i)], 0.35 + 0.6 * score[i]);
  lay(g, image, left, top, scale);
}

/** Puts pixels over a drawing. Reading it back to blend them would take as long as all the rest. */
function lay(g, image, left, top, scale) {
  const over = el("canvas", { width: image.width, height: image.height });
  over.getContext("2d").putImageData(image, 0, 0);
  g.drawImage(over, left / scale, top / scale, image.width / scale, image.height / scale);
}

function fewPoints(g, X, Y) {
  const radius = N > 400 ? 1.8 : N > 60 ? 2.6 : 3.6;
  for (const showing of [0, 1]) for (const i of byScore) {
    if (mask[i] !== showing) continue;
    g.fillStyle = showing ? css(ramp[binOf(i)]) : ink.line;
    g.beginPath(); g.arc(X(i), Y(i), radius, 0, 7); g.fill();
  }
}

function rgbOf(hex) {
  const full = hex.length === 4 ? [...hex.slice(1)].map((digit) => digit + digit).join("") : hex.slice(1);
  return [0, 2, 4].map((k) => parseInt(full.slice(k, k + 2), 16));
}

/** Marks the best experiment (a star) and the chosen one (a ring) above all dots. */
function accents(g, X, Y) {
  const best = state.best, chosen = state.chosen;
  if (best >= 0 && score[best] >= 0) star(g, X(best), Y(best), 6);
  if (chosen >= 0 && score[chosen] >= 0) {
    g.strokeStyle = ink.accent;
    g.lineWidth = 2;
    g.beginPath(); g.arc(X(chosen), Y(chosen), 6.5, 0, 7); g.stroke();
    g.lineWidth = 1;
  }
}

function star(g, x, y, size) {
  g.beginPath();
  for (let k = 0; k < 10; k++) {
    const r = k % 2 ? size * 0.45 : size, a = (k * Math.PI) / 5 - Math.PI / 2;
    g.lineTo(x + r * Math.cos(a), y + r * Math.sin(a));
  }
  g.closePath();
  g.fillStyle = ink.best;
  g.strokeStyle = ink.card;
  g.lineWidth = 1.5;
  g.stroke();
  g.fill();
  g.lineWidth = 1;
}

// -- Tooltip ---------------------------------------------------------------------------------------

function tip(event, text) {
  const box = $("tip");
  box.hidden = !text;
  if (!text) return;
  box.textContent = text;
  box.style.left = `${Math.max(4, Math.min(innerWidth - box.offsetWidth - 8, event.clientX + 14))}px`;
  box.style.top = `${Math.max(4, Math.min(innerHeight - box.offsetHeight - 8, event.clientY + 14))}px`;
}

function tipOf(i) {
  const told = [...(state.metric ? [state.metric] : []), ...varying.slice(0, 12)];
  return [titleOf(i), ...told.map((column) => `${column.name}  ${cellText(column, i)}`)].join("\n");
}

/** Shows the nearest experiment, a few pixels away at most, as a tooltip. A click chooses it. */
function pointing(canvas, positions) {
  const nearest = (event) => {
    const where = positions();
    if (!where) return -1;
    let found = -1, least = 14 * 14;
    for (const i of byScore) {
      if (!mask[i]) continue;
      const x = where.X(i) - event.offsetX, y = where.Y(i) - event.offsetY, far = x * x + y * y;
      if (far < least) [found, least] = [i, far];
    }
    return found;
  };
  canvas.addEventListener("pointermove", (event) => { const i = nearest(event); tip(event, i < 0 ? "" : tipOf(i)); canvas.style.cursor = i < 0 ? "" : "pointer"; });
  canvas.addEventListener("pointerleave", (event) => tip(event, ""));
  canvas.addEventListener("click", (event) => { const i = nearest(event); if (i >= 0) choose(i); });
}

/** Makes a button that saves a drawing as an image. */
function savable(card, name, ...canvases) {
  const button = el("button", { type: "button", "aria-label": `save ${name} as PNG`, onclick: () => {
    const whole = el("canvas", { width: canvases[0].width, height: canvases[0].height }), g = whole.getContext("2d");
    g.fillStyle = ink.card;
    g.fillRect(0, 0, whole.width, whole.height);
    for (const each of canvases) g.drawImage(each, 0, 0);
    whole.toBlob((blob) => download(blob, `${name}.png`));
  } }, "PNG");
  card.querySelector(".head").append(button);
}

function download(blob, name) {
  const anchor = el("a", { href: URL.createObjectURL(blob), download: name });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 10000);
}
