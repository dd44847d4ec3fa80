// The leaderboard: a row for each experiment or configuration. Only visible rows are in the document.

const ROW = 26, HEAD = 30;
let entries = [];
let onView = { from: -1, to: -1 };

const isShownAtFirst = (column) => column.kind === "metric" || column.kind === "time" || (column.varies && !(column.kind === "other" && column.name.startsWith("train ")));
const inBoard = new Set(columns.filter(isShownAtFirst));

/** Returns the columns in order: the chosen metric, other metrics, hyperparameters, times, the rest. */
function boardColumns() {
  const order = { metric: 1, hyper: 3, time: 4, other: 5, fact: 6 };
  const place = (column) => (column === state.metric ? 0 : objectives.some((each) => each.column === column) ? 0.5 : order[column.kind]);
  return columns.filter((column) => inBoard.has(column)).sort((a, b) => place(a) - place(b) || columns.indexOf(a) - columns.indexOf(b));
}

/** Whether the rows have the numbers of trials; if not, the column shows the places. */
const hasTrials = D.numbers.some((number) => number !== null);
const isNumeric = (column) => !column.isText;
const bestOf = new Map();
function bestMarks() {
  for (const column of columns.filter((each) => each.isMetric && each.dir)) bestOf.set(column, bestBy(column));
}

// -- Order -----------------------------------------------------------------------------------------

function sortBy(key) {
  const same = state.sort && state.sort.key === key;
  const first = key.isMetric && key.dir !== "min" ? -1 : 1;
  state.sort = { key, sign: same ? -state.sort.sign : first };
  heads();
  reorder();
  $("grid").scrollTop = 0;
}

/** Returns the value by which a row is sorted; with repeats, their mean. */
function keyOf(entry, key) {
  if (key === "name") return D.names[entry.i];
  if (key === "number") return D.numbers[entry.i];
  if (key === "status") return status(entry.i);
  if (entry.members.length > 1 && key.isMetric) return meanOf(key, entry.members)?.mean ?? null;
  return key.v[entry.i];
}

function reorder() {
  entries = [];
  if (state.grouped && D.groups) {
    for (const members of groups) {
      const here = members.filter((i) => mask[i]);
      if (here.length) entries.push({ i: here.find((i) => isRanked[i]) ?? here[0], members: here });
    }
  } else for (let i = 0; i < N; i++) if (mask[i]) entries.push({ i, members: [i] });
  const { key, sign } = state.sort, byMetric = key.isMetric;
  const isNone = (value) => value === null || value === undefined || Number.isNaN(value);
  for (const entry of entries) {
    entry.key = keyOf(entry, key);
    // An experiment that did not complete has the metrics of half a training run: never on top.
    entry.late = (isNone(entry.key) ? 2 : 0) + (byMetric && !entry.members.some((i) => isRanked[i]) ? 1 : 0);
    entry.text = typeof entry.key === "string";
  }
  entries.sort((a, b) => {
    if (a.late !== b.late) return a.late - b.late;
    if (objectives.length > 1 && state.sort.isFirst && front.has(a.i) !== front.has(b.i)) return front.has(a.i) ? -1 : 1;
    if (a.text !== b.text) return a.text ? 1 : -1;
    const order = a.text ? a.key.localeCompare(b.key, undefined, { numeric: true }) : a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
    return order * sign || (D.numbers[a.i] ?? Infinity) - (D.numbers[b.i] ?? Infinity) || a.i - b.i;
  });
  onView = { from: -1, to: -1 };
  $("grid").setAttribute("aria-rowcount", entries.length + 1);
  board.style.height = `${entries.length * ROW + HEAD}px`;
  rows();
}

// -- Drawing ---------------------------------------------------------------------------------------

const board = el("div", { className: "body", role: "rowgroup" });
const headRow = el("div", { className: "row heads", role: "row" });
const lines = el("div", { role: "presentation" });
board.append(headRow, lines);
$("grid").append(board);
let template = "", nameLetters = 40;

function widths(shownColumns) {
  const narrow = innerWidth < 600;
  const textWidth = (text) => text.length * 7.2;
  // In a search, the number and the values name a trial, and the values need the room.
  const widest = narrow ? 150 : hasTrials && innerWidth < 1600 ? 180 : 300;
  const nameWidth = Math.min(widest, Math.max(90, 28 + Math.max(...D.names.slice(0, 200).map(textWidth))));
  nameLetters = Math.floor((nameWidth - 16) / 7.2);
  const sample = Array.from({ length: Math.min(N, 60) }, (_, k) => Math.floor((k * N) / Math.min(N, 60)));
  const of = (column) => {
    const cells = sample.map((i) => textWidth(cellText(column, i)) + 22);
    const extra = state.grouped && D.groups && column.isMetric ? 90 : 30;
    return Math.round(Math.min(260, Math.max(textWidth(heading(column)) + 40, ...cells.map((width) => width + (column.isMetric ? extra : 0)))));
  };
  return `30px ${(hasTrials ? 62 : N < 1000 ? 36 : 54) + (front.size ? 20 : 0)}px ${Math.round(nameWidth)}px ${narrow ? 34 : 112}px ${shownColumns.map((column) => `${of(column)}px`).join(" ")}`;
}

function heads() {
  const shownColumns = boardColumns();
  template = widths(shownColumns);
  headRow.style.gridTemplateColumns = template;
  const made = (key, text, className) => {
    const isSorted = state.sort.key === key, up = state.sort.sign > 0;
    const mark = isSorted ? (up ? " ▲" : " ▼") : "";
    return el("div", { role: "columnheader", className, "aria-sort": isSorted ? (up ? "ascending" : "descending") : "none" },
      el("button", { type: "button", title: text, onclick: () => sortBy(key) }, text + mark));
  };
  headRow.replaceChildren(
    el("div", { role: "columnheader", title: "mark for comparison" }, "☐"),
    hasTrials ? made("number", "trial", "number") : el("div", { role: "columnheader", className: "number" }, "#"),
    made("name", "experiment", "stuck"),
    made("status", innerWidth < 600 ? "⁝" : "status", ""),
    ...shownColumns.map((column) => made(column, heading(column), isNumeric(column) ? "number" : "")),
  );
  onView = { from: -1, to: -1 };
}

/** Draws the visible rows and a few more. */
function rows(all = false) {
  const grid = $("grid"), top = grid.scrollTop;
  const from = all ? 0 : Math.max(0, Math.floor(top / ROW) - 4);
  const to = all ? Math.min(entries.length, 30) : Math.min(entries.length, Math.ceil((top + grid.clientHeight) / ROW) + 4);
  if (from === onView.from && to === onView.to) return;
  if (all) board.style.height = `${to * ROW + HEAD}px`;
  onView = { from, to };
  const shownColumns = boardColumns();
  lines.replaceChildren(...entries.slice(from, to).map((entry, k) => row(entry, from + k, shownColumns)));
  describeCursor();
}

const again = () => { onView = { from: -1, to: -1 }; rows(); };

function row(entry, place, shownColumns) {
  const { i, members } = entry, several = members.length > 1;
  const isChosen = members.includes(state.chosen);
  const made = el("div", {
    className: "row", role: "row", id: `row-${place}`, "aria-rowindex": place + 2, "aria-selected": String(isChosen),
    onclick: (event) => { if (event.target.tagName !== "INPUT") choose(several && !isChosen ? bestMember(members) : i); },
    onpointerenter: () => { state.hover = i; redraw(overlay); },
    onpointerleave: () => { state.hover = -1; redraw(overlay); },
  });
  made.style.top = `${place * ROW + HEAD}px`;
  made.style.gridTemplateColumns = template;
  const box = el("input", { type: "checkbox", tabIndex: -1, checked: state.marked.includes(i), ariaLabel: `compare ${titleOf(i)}`, onchange: () => mark(i) });
  const name = several ? stem(members) : D.names[i], many = several ? `  ×${members.length}` : "";
  const place_ = entry.late || !state.sort.key.isMetric ? "" : String(place + 1);
  const number = hasTrials ? D.numbers[i] ?? "" : place_;
  made.append(
    el("div", { role: "gridcell" }, box),
    el("div", { role: "gridcell", className: "number" }, front.has(i) ? "◆ " : "", String(number)),
    el("div", { role: "rowheader", className: "stuck", title: name + many }, shortened(name, nameLetters - many.length) + many),
    statusCell(members),
    ...shownColumns.map((column) => cell(column, entry)),
  );
  return made;
}

/** Shortens a long name in the middle, because names mostly differ at their ends. */
function shortened(name, most) {
  if (name.length <= most) return name;
  const end = Math.floor((most - 1) / 2);
  return `${name.slice(0, most - 1 - end)}…${name.slice(name.length - end)}`;
}

function statusCell(members) {
  const state_ = members.map(status).sort((a, b) => (a === "completed") - (b === "completed"))[0];
  const glyph = GLYPHS[state_] ?? "·";
  return el("div", { role: "gridcell", className: `s-${state_}`, title: state_ }, innerWidth < 600 ? glyph : `${glyph} ${state_}`);
}

function cell(column, { i, members }) {
  const made = el("div", { role: "gridcell", className: isNumeric(column) ? "number" : "" });
  const isBest = column.isMetric && column.dir && members.includes(bestOf.get(column));
  let text = cellText(column, i);
  if (members.length > 1) text = ofSeveral(column, members);
  made.title = column.isText ? text : written(column.v[i], 6);
  if (isBest) made.append(el("span", { className: "star", title: `best ${column.name}` }, "★ "), el("b", {}, text));
  else made.textContent = text;
  return made;
}

/** Summarizes repeats: mean ± standard deviation of a metric, the values of a hyperparameter. */
function ofSeveral(column, members) {
  if (column.isMetric || column.kind === "time") {
    const of = column.isMetric ? meanOf(column, members) : meanOfAll(column, members);
    if (!of) return "–";
    if (column.kind === "time") return timeText(of.mean);
    return of.sd === null ? written(of.mean, 5) : `${written(of.mean, 5)} ± ${written(of.sd, 2)}`;
  }
  const different = [...new Set(members.map((i) => cellText(column, i)))];
  return different.length > 3 ? `${different.slice(0, 3).join(", ")}, …` : different.join(", ");
}

function meanOfAll(column, members) {
  const values = members.map((i) => column.v[i]).filter(isFinite_);
  return values.length ? { mean: values.reduce((a, b) => a + b, 0) / values.length } : null;
}

const stem = (members) => D.names[members[0]].replace(/__seed_-?\d+$/, "");
const bestMember = (members) => members.reduce((a, b) => (state.metric && isRanked[b] && (!isRanked[a] || beats(state.metric, state.metric.v[b], state.metric.v[a])) ? b : a));

// -- Keyboard --------------------------------------------------------------------------------------

$("grid").addEventListener("scroll", () => rows());
$("grid").addEventListener("keydown", (event) => {
  if (event.target !== $("grid")) return;
  const here = entries.findIndex((entry) => entry.members.includes(state.chosen));
  const page = Math.floor(($("grid").clientHeight - HEAD) / ROW) - 1;
  const to = { ArrowDown: here + 1, ArrowUp: here - 1, PageDown: here + page, PageUp: here - page, Home: 0, End: entries.length - 1 }[event.key];
  if (event.key === " " && here >= 0) mark(entries[here].i);
  else if (to === undefined || !entries.length) return;
  else {
    const place = Math.max(0, Math.min(entries.length - 1, to));
    choose(entries[place].members.length > 1 ? bestMember(entries[place].members) : entries[place].i);
    reveal(place);
  }
  event.preventDefault();
});

function reveal(place) {
  const grid = $("grid"), y = place * ROW;
  if (y < grid.scrollTop) grid.scrollTop = y;
  if (y + ROW + HEAD + 14 > grid.scrollTop + grid.clientHeight) grid.scrollTop = y + ROW + HEAD + 14 - grid.clientHeight;
  again();
}

function describeCursor() {
  const place = entries.findIndex((entry) => entry.members.includes(state.chosen));
  if (place >= onView.from && place < onView.to) $("grid").setAttribute("aria-activedescendant", `row-${place}`);
  else $("grid").removeAttribute("aria-activedescendant");
}

// -- Choice of columns, CSV ------------------------------------------------------------------------

function columnMenu() {
  const box = (column) => el("label", { title: column.name }, el("input", { type: "checkbox", checked: inBoard.has(column), onchange: () => {
    if (!inBoard.delete(column)) inBoard.add(column);
    heads();
    again();
  } }), ` ${column.name}${column.varies ? "" : "  (the same in all)"}`);
  const narrow = el("button", { type: "button", onclick: () => {
    for (const column of hypers) {
      const seen = new Set(entries.map(({ i }) => column.v[i]));
      if (seen.size > 1) inBoard.add(column);
      else inBoard.delete(column);
    }
    columnMenu();
    heads();
    again();
  } }, "only columns that differ among the shown experiments");
  $("columns").lastElementChild.replaceChildren(narrow, ...columns.map(box));
}

/** Encodes a cell. A formula gets an apostrophe before it, so that no spreadsheet runs it. */
function csvCell(value) {
  if (isNumber(value)) return written(value, 6);
  const text = value === null || value === undefined ? "" : String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

$("csv").addEventListener("click", () => {
  const shownColumns = boardColumns();
  const told = [[...(hasTrials ? ["trial"] : []), "experiment", "status", ...shownColumns.map((column) => column.name)]];
  for (const { members } of entries) for (const i of members) told.push([...(hasTrials ? [D.numbers[i]] : []), D.names[i], status(i), ...shownColumns.map((column) => column.v[i])]);
  download(new Blob([told.map((line) => line.map(csvCell).join(",")).join("\n") + "\n"], { type: "text/csv" }), `${D.title}.csv`);
});
