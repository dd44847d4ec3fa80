// The panels of importance, failures and provenance.

const percent = (share) => `${Math.round(share * 100)} %`;

function importancePanel() {
  const told = (state.metric && D.importance.of[state.metric.name]) || [];
  const panel = $("importance"), known = told.filter(([, share]) => share !== null).slice(0, 14);
  const few = told.filter(([, share]) => share === null);
  const parts = [];
  if (known.length) {
    const bars = el("div", { className: "bars", role: "list" });
    for (const [name, share, low, high, count] of known) {
      const bar = el("i"), whisker = el("b");
      bar.style.width = `${share * 100}%`;
      whisker.style.left = `${low * 100}%`;
      whisker.style.width = `${(high - low) * 100}%`;
      const words = `${percent(share)} (${Math.round(low * 100)}–${Math.round(high * 100)})`;
      bars.append(el("span", { title: name }, name), el("span", { className: "bar", title: `${name}: ${words}, ${plural(count, "experiment")}` }, bar, whisker), el("span", {}, words));
    }
    parts.push(bars, el("p", { className: "sub" }, `Of ${state.metric.name}: ${D.importance.method}.`));
    const sum = known.reduce((all, [, share]) => all + share, 0);
    if (sum < 0.5) parts.push(el("p", { className: "sub" }, `Together they explain ${percent(sum)}. The rest is chance, or effects of combinations.`));
  }
  if (few.length) {
    const names = few.map(([name, , , , count]) => `${name} (${count})`).join(", ");
    parts.push(el("p", { className: "sub" }, `Too few trials to say: ${names}. It takes ${D.importance.fewest} that completed and ${D.importance.each} for each value, or ${D.importance.each * D.importance.parts} where there are many values.`));
  }
  if (known.length && D.adaptive.length) parts.push(el("p", { className: "sub" }, `⚠ ${D.adaptive.join(", ")} chose the trials by earlier results, so most trials are in good regions. Importance elsewhere is underestimated.`));
  if (!parts.length) parts.push(el("p", { className: "sub" }, !state.metric ? "There is no metric yet." : varying.length ? `It is computed for the ranked metrics: ${objectives.map((each) => each.column.name).join(", ") || "none is"}.` : "No hyperparameter varies."));
  panel.replaceChildren(...parts);
}

function confirmedPanel() {
  $("card-confirmed").hidden = !D.confirmed.length;
  $("confirmed").replaceChildren(...D.confirmed.map((lines_) => el("pre", { tabIndex: 0, className: "words" }, lines_.join("\n"))));
}

function failurePanel() {
  $("card-failed").hidden = !D.failed.length;
  const all = D.failed.reduce((sum, group) => sum + group.of.length, 0);
  $("h-failed").textContent = `Failures: ${all.toLocaleString("en")} of ${N.toLocaleString("en")}`;
  $("failed").replaceChildren(...D.failed.slice(0, 30).map((group) => {
    const tails = Object.entries(group.tails);
    return el("details", { className: "failure", open: D.failed.length === 1 },
      el("summary", {}, el("b", {}, `${group.of.length.toLocaleString("en")} × ${group.class}`), `  ${group.words}`),
      el("p", {}, ...group.of.slice(0, 12).flatMap((i) => [el("button", { type: "button", onclick: () => choose(i) }, titleOf(i)), " "]), group.of.length > 12 ? `and ${(group.of.length - 12).toLocaleString("en")} more` : ""),
      ...tails.flatMap(([i, lines_]) => [el("p", { className: "sub" }, `the last lines of ${titleOf(i)}:`), el("pre", { tabIndex: 0 }, lines_.join("\n"))]));
  }));
  if (D.failed.length > 30) $("failed").append(el("p", { className: "sub" }, `and ${D.failed.length - 30} other kinds`));
}

function originPanel() {
  $("origin").replaceChildren(...D.provenance.flatMap(([what, values]) => [el("dt", {}, what), el("dd", {}, ...values.flatMap((value, k) => (k ? [el("br"), value] : [value])))]));
  $("origin").append(el("dt", {}, "this report"), el("dd", {}, `${D.made}, of ${plural(N, "experiment")}`));
  $("warnings").replaceChildren(...D.warnings.map((warning) => el("li", {}, warning)));
}
