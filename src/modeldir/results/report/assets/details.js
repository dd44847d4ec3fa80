// Shows the chosen experiment, and the comparison of several.

function choose(i) {
  state.chosen = i;
  details();
  again();
  redraw(overlay, ...pointViews, history_, curves_);
}

const compareBest = (column, i) => {
  const best = state.best;
  if (best < 0 || best === i || column.kind !== "hyper" || same(column.v[i], column.v[best])) return [];
  return [el("span", { className: "was" }, `  (best: ${cellText(column, best)})`)];
};
const same = (a, b) => a === b || (Number.isNaN(a) && Number.isNaN(b));

function details() {
  const i = state.chosen, panel = $("details");
  if (i < 0) {
    panel.replaceChildren(el("h2", {}, "No experiment is chosen"), el("p", { className: "sub" }, "Choose one by a click on a row or a point."));
    return;
  }
  const facts = [["status", `${GLYPHS[status(i)] ?? ""} ${status(i)}${i === state.best ? `, best ${state.metric.name}` : ""}`]];
  const why = D.why.i[i] < 0 ? null : D.why.dict[D.why.i[i]];
  if (why) facts.push(["why", why]);
  if (D.numbers[i] !== null) facts.push(["trial", String(D.numbers[i])]);
  if (D.started[i] !== null) facts.push(["started", new Date(D.started[i] * 1000).toISOString().slice(0, 16).replace("T", " ") + " UTC"]);
  const list = el("dl");
  for (const [what, text] of facts) list.append(el("dt", {}, what), el("dd", {}, text));
  for (const column of boardOrder()) {
    if (column.v[i] === null) continue;
    list.append(el("dt", {}, column.isMetric ? heading(column) : column.name), el("dd", {}, column.kind === "time" ? timeText(column.v[i]) : written(column.v[i]) + (column.marked.has(i) ? " *" : ""), ...compareBest(column, i)));
  }
  panel.replaceChildren(
    el("div", { className: "head" }, el("h2", {}, titleOf(i)),
      el("button", { type: "button", onclick: () => mark(i) }, state.marked.includes(i) ? "unmark" : "compare")),
    list, ...links(i), ...siblings(i), ...tailOf(i),
  );
  panel.scrollTop = 0;
}

/** Returns the columns in order: metrics, times, varying ones, the rest. */
function boardOrder() {
  const weight = (column) => (column.kind === "hyper" && !column.varies ? 9 : { metric: 0, other: 1, time: 2, hyper: 3, fact: 4 }[column.kind]);
  return [...columns].sort((a, b) => weight(a) - weight(b));
}

function links(i) {
  const files = ["params.json", "train.log", "console.log"];
  if (link(i, "") === null) return [];
  const folder = el("a", { href: `${link(i, "")}/` }, "folder");
  return [el("p", { className: "sub" }, "beside this report: ", folder, ...files.flatMap((file) => [" · ", el("a", { href: link(i, file) }, file)]))];
}

function siblings(i) {
  const others = groupOf(i);
  if (others.length < 2) return [];
  return [el("p", { className: "sub" }, `${plural(others.length, "repeat")}: `, ...others.map((other) => el("button", { type: "button", disabled: other === i, onclick: () => choose(other) }, `${state.metric ? cellText(state.metric, other) : titleOf(other)}`)))];
}

function tailOf(i) {
  const group = D.failed.find((each) => each.of.includes(i));
  if (!group) return [];
  const own = group.tails[i], one = own ? i : Object.keys(group.tails)[0];
  if (one === undefined) return [];
  const head = own ? "Its last lines:" : `Last lines of one that failed with the same error, ${titleOf(one)}:`;
  return [el("p", { className: "sub" }, head), el("pre", { tabIndex: 0 }, group.tails[one].join("\n"))];
}

// -- Comparison ------------------------------------------------------------------------------------

const MOST_MARKED = 12;

function mark(i) {
  if (state.marked.includes(i)) state.marked = state.marked.filter((other) => other !== i);
  else if (state.marked.length < MOST_MARKED) state.marked.push(i);
  comparison_();
  details();
  again();
}

$("unmark").addEventListener("click", () => { state.marked = []; comparison_(); details(); again(); });

function comparison_() {
  const some = state.marked;
  $("card-compare").hidden = some.length < 2;
  if (some.length < 2) return;
  const text = (column, i) => (column.kind === "time" ? timeText(column.v[i]) : written(column.v[i]));
  const differs = (column) => some.some((i) => !same(column.v[i], column.v[some[0]]));
  const line = (column) => el("tr", {}, el("th", { scope: "row" }, column.isMetric ? heading(column) : column.name),
    ...some.map((i) => {
      const other = column.kind === "hyper" && !same(column.v[i], column.v[some[0]]);
      return el("td", { className: other ? "differs" : "" }, other ? `≠ ${text(column, i)}` : text(column, i));
    }));
  const told = boardOrder().filter((column) => some.some((i) => column.v[i] !== null));
  const alike = told.filter((column) => column.kind === "hyper" && !differs(column));
  const head = el("tr", {}, el("th", {}, ""), ...some.map((i) => el("th", { scope: "col" }, `${i === state.best ? "★ " : ""}${titleOf(i)}`)));
  $("compare").replaceChildren(
    el("table", {}, el("thead", {}, head), el("tbody", {}, el("tr", {}, el("th", { scope: "row" }, "status"), ...some.map((i) => el("td", {}, status(i)))), ...told.filter((column) => !alike.includes(column)).map(line))),
    el("p", { className: "sub" }, alike.length ? `The same in all: ${alike.map((column) => `${column.name} ${text(column, some[0])}`).join(", ")}` : "≠ differs from the first."),
  );
}
