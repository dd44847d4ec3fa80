// Opens the page and connects its controls.

// -- Light and dark --------------------------------------------------------------------------------

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
let theme = "auto";
try { theme = localStorage.getItem("modeldir-theme") ?? "auto"; } catch { /* a page from a file may have no storage */ }

function dress(forced) {
  const is = forced ?? (theme === "auto" ? (systemIsDark.matches ? "dark" : "light") : theme);
  document.documentElement.dataset.theme = is;
  $("theme").textContent = { auto: "◐ auto", light: "☀ light", dark: "☾ dark" }[theme];
  $("theme").setAttribute("aria-label", `colors: ${theme}`);
  readInk();
  legend();
}

$("theme").addEventListener("click", () => {
  theme = { auto: "light", light: "dark", dark: "auto" }[theme] ?? "auto";
  try { localStorage.setItem("modeldir-theme", theme); } catch { /* as above */ }
  dress();
  redraw();
});
systemIsDark.addEventListener("change", () => { dress(); redraw(); });
// For printing: light colors, the width of a page, the first rows of the table, all drawings.
addEventListener("beforeprint", () => {
  document.documentElement.dataset.print = "true";
  dress("light");
  heads();
  rows(true);
  drawAll();
});
addEventListener("afterprint", () => {
  delete document.documentElement.dataset.print;
  dress();
  heads();
  reorder();
  redraw();
});

function legend() {
  const canvas = el("canvas", { width: BINS, height: 1 }), g = canvas.getContext("2d");
  ramp.forEach((rgb, bin) => { g.fillStyle = css(rgb); g.fillRect(bin, 0, 1, 1); });
  const by = state.metric ? ` by ${heading(state.metric)}` : "";
  $("legend").replaceChildren("last", canvas, `first${by}`, el("span", {}, el("span", { className: "star" }, "▬"), " best   ╌ chosen"));
}

// -- Texts and controls ----------------------------------------------------------------------------

function summary() {
  $("title").textContent = D.title;
  const best = state.best, parts = [];
  const members = best < 0 ? [] : groupOf(best);
  if (members.length > 1) parts.push(`best ${state.metric.name} ${ofSeveral(state.metric, members)} of ${stem(members)}, ${members.length} repeats`);
  else if (best >= 0) parts.push(`best ${state.metric.name} ${cellText(state.metric, best)} of ${titleOf(best)}`);
  if (front.size) parts.push(`${plural(front.size, "experiment")} on the front of ${objectives.map(({ column }) => heading(column)).join(" and ")}`);
  if (duration) parts.push(`${timeText(duration.v.filter(isFinite_).reduce((a, b) => a + b, 0))} of training`);
  parts.push(`as of ${D.made}`);
  $("summary").textContent = parts.join(" · ");
  $("advice").replaceChildren(...D.advice.map((text) => el("li", {}, text)));
  const fixed = hypers.filter((column) => !column.varies);
  const told = fixed.slice(0, 20).map((column) => `${column.name} ${cellText(column, 0)}`).join(", ");
  $("fixed").textContent = fixed.length ? `The same in all: ${told}${fixed.length > 20 ? `, and ${fixed.length - 20} more` : ""}.` : "";
}

function statusChips() {
  const counts = D.status.dict.map((_, k) => D.status.i.reduce((sum, each) => sum + (each === k), 0));
  $("statuses").replaceChildren(...D.status.dict.map((name, k) => el("button", {
    type: "button", "aria-pressed": String(!state.hidden.has(name)), title: `show or hide ${name}`,
    onclick: () => { if (!state.hidden.delete(name)) state.hidden.add(name); statusChips(); refilter(); },
  }, el("span", { className: `s-${name}` }, `${GLYPHS[name] ?? "·"} `), `${name} ${counts[k].toLocaleString("en")}`)));
}

/** Updates everything that depends on the chosen metric: best, colors, order, panels. */
function measure(column) {
  state.metric = column;
  state.sort = column ? { key: column, sign: column.dir === "min" ? 1 : -1, isFirst: column === objectives[0]?.column } : { key: "name", sign: 1 };
  rank();
  chooseAxes();
  summary();
  legend();
  heads();
  importancePanel();
  if (state.chosen < 0) state.chosen = state.best;
  details();
}

options($("metric"), metrics, state.metric);
$("metric").parentElement.hidden = metrics.length < 2;
$("metric").addEventListener("change", () => { measure(metrics[$("metric").selectedIndex]); refilter(); remember(); });

$("query").addEventListener("input", () => {
  later("typing", 100, () => { state.query = $("query").value; readQuery(); refilter(); remember(); });
});
const example = varying.find((column) => !column.isText);
$("query").placeholder = example ? `${example.name} < ${written(example.v.find(isFinite_) ?? 1, 2)} and status = completed` : "part of a name, status = failed";

$("clear").addEventListener("click", () => {
  state.brushes.clear();
  state.hidden.clear();
  state.query = $("query").value = "";
  readQuery();
  statusChips();
  refilter();
  remember();
});
$("grouped-label").hidden = !D.groups;
$("grouped").checked = state.grouped;
$("grouped").addEventListener("change", () => { state.grouped = $("grouped").checked; heads(); reorder(); redraw(curves_); });

/** Keeps the filter and the metric in the address, so that a link shows the same. */
function remember() {
  const told = new URLSearchParams();
  if (state.query) told.set("filter", state.query);
  if (state.metric && state.metric !== objectives[0]?.column) told.set("metric", state.metric.name);
  try { window.history.replaceState(null, "", `#${told}`); } catch { /* some browsers do not allow it for files */ }
}

function recall() {
  const told = new URLSearchParams(location.hash.slice(1));
  const column = byName.get(told.get("metric"));
  if (column && metrics.includes(column)) { state.metric = column; $("metric").selectedIndex = metrics.indexOf(column); }
  if (told.get("filter")) state.query = $("query").value = told.get("filter");
}

let wide = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === wide) return; // on a phone the address bar comes and goes
  wide = innerWidth;
  later("resizing", 120, () => { heads(); again(); redraw(); });
});

// A table with few rows leaves no empty space.
$("grid").style.setProperty("--rows", D.groups ? groups.length : N);
recall();
bestMarks();
dress();
measure(state.metric);
columnMenu();
statusChips();
buildSlices();
buildPair();
buildCurves();
confirmedPanel();
failurePanel();
originPanel();
readQuery();
refilter();
