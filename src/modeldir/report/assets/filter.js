// Which experiments are shown: the filter that is typed, the statuses, the ranges drawn on axes.

/** A typed filter as a function of an experiment. `learning_rate < 0.01 and (optimizer = adam or
 * status = failed)`; a bare word is looked for in names. It is parsed, never run as a script. */
function parsed(text) {
  const tokens = [], pattern = /\s*(?:(`[^`]*`|"[^"]*"|'[^']*')|(<=|>=|!=|==|=|<|>|~|\(|\))|([^\s<>=!~()"'`]+|!))/gy;
  while (pattern.lastIndex < text.trimEnd().length) {
    const found = pattern.exec(text);
    if (!found) throw new Error("a quote that is not closed");
    const [, quoted, sign, word] = found;
    tokens.push(quoted ? { text: quoted.slice(1, -1), quoted: true } : sign ? { sign } : { text: word });
  }
  let at = 0;
  const isSign = (sign) => tokens[at]?.sign === sign;
  const isWord = (word) => tokens[at] && !tokens[at].quoted && tokens[at].text?.toLowerCase() === word;
  function either() {
    const parts = [both()];
    while (isWord("or")) { at++; parts.push(both()); }
    return parts.length > 1 ? (i) => parts.some((part) => part(i)) : parts[0];
  }
  function both() {
    const parts = [one()];
    while (at < tokens.length && !isSign(")") && !isWord("or")) { if (isWord("and")) at++; parts.push(one()); }
    return parts.length > 1 ? (i) => parts.every((part) => part(i)) : parts[0];
  }
  function one() {
    if (isWord("not")) { at++; const part = one(); return (i) => !part(i); }
    if (isSign("(")) {
      at++;
      const part = either();
      if (!isSign(")")) throw new Error("a bracket that is not closed");
      at++;
      return part;
    }
    const name = tokens[at++];
    if (!name || name.sign) throw new Error(name ? `'${name.sign}' without a name before it` : "it ends too early");
    const sign = tokens[at]?.sign;
    if (!sign || sign === "(" || sign === ")") return (i) => D.names[i].toLowerCase().includes(name.text.toLowerCase());
    at++;
    const value = tokens[at++];
    if (!value || value.sign) throw new Error(`no value after '${name.text} ${sign}'`);
    return comparison(name.text, sign, value.text);
  }
  if (!tokens.length) return null;
  const whole = either();
  if (at < tokens.length) throw new Error("a bracket too many");
  return whole;
}

const COMPARE = {
  "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b,
};

function comparison(name, sign, text) {
  const of = asked(name), number = text.trim() === "" ? NaN : Number(text);
  if (sign in COMPARE) {
    if (Number.isNaN(number)) throw new Error(`'${text}' is no number`);
    return (i) => isNumber(of(i)) && COMPARE[sign](of(i), number);
  }
  if (sign === "~") return (i) => String(of(i) ?? "").toLowerCase().includes(text.toLowerCase());
  const same = (i) => (isNumber(of(i)) ? of(i) === number : String(of(i) ?? "none") === text);
  return sign === "!=" ? (i) => !same(i) : same;
}

/** What a name stands for: a column, or one of the few that are none. */
function asked(name) {
  const column = byName.get(name);
  if (column) return (i) => column.v[i];
  if (name === "status") return status;
  if (name === "name" || name === "experiment") return (i) => D.names[i];
  if (name === "number") return (i) => D.numbers[i];
  if (name === "front") return (i) => (front.has(i) ? "yes" : "no");
  const known = [...byName.keys(), "status", "name", "number"];
  const near = known.find((each) => each.toLowerCase().includes(name.toLowerCase()) || distance(each, name) <= 2);
  throw new Error(`there is no '${name}'${near ? `: did you mean '${near}'?` : ""}`);
}

function distance(a, b) {
  if (Math.abs(a.length - b.length) > 2) return 9;
  let row = Array.from({ length: b.length + 1 }, (_, k) => k);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let k = 1; k <= b.length; k++) next[k] = Math.min(row[k] + 1, next[k - 1] + 1, row[k - 1] + (a[i - 1] === b[k - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length];
}

let typed = null;
function readQuery() {
  const complaint = $("complaint");
  complaint.hidden = true;
  try {
    typed = parsed(state.query);
  } catch (error) {
    complaint.textContent = `The filter cannot be read: ${error.message}. As it was before: ${shown.toLocaleString("en")} shown.`;
    complaint.hidden = false;
  }
}

/** Computes the mask anew, and lets everything be drawn again. */
function refilter() {
  const ranges = [...state.brushes].map(([column, [lo, hi]]) => [scaleOf(column).t, lo - 1e-6, hi + 1e-6]);
  const hidden = D.status.dict.map((name) => state.hidden.has(name));
  shown = 0;
  for (let i = 0; i < N; i++) {
    let keep = !hidden[D.status.i[i]];
    for (let k = 0; keep && k < ranges.length; k++) keep = ranges[k][0][i] >= ranges[k][1] && ranges[k][0][i] <= ranges[k][2];
    if (keep && typed) keep = typed(i);
    mask[i] = keep ? 1 : 0;
    shown += mask[i];
  }
  $("shown").textContent = shown === N ? `all ${plural(N, "experiment")}` : `${shown.toLocaleString("en")} of ${N.toLocaleString("en")} shown`;
  $("clear").hidden = shown === N && !state.query && !state.brushes.size && !state.hidden.size;
  brushChips();
  reorder();
  redraw();
}

function brushChips() {
  $("brushes").replaceChildren(...[...state.brushes].map(([column, range]) => {
    const text = rangeText(column, range);
    return el("button", { type: "button", "aria-label": `let go: ${text}`, onclick: () => { state.brushes.delete(column); refilter(); } }, `${text}  ✕`);
  }));
}
