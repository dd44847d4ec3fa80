// Decides which experiments are shown: by the typed filter, the statuses, and the ranges on axes.

const COMPARE = {
  "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b,
  "=": same_, "==": same_, "!=": (a, b) => !same_(a, b), "~": (a, b) => String(a).toLowerCase().includes(String(b).toLowerCase()),
};
const TURNED = { "<": ">", ">": "<", "<=": ">=", ">=": "<=" };
const ORDERS = new Set(["<", ">", "<=", ">="]);
const AS_JSON = { True: "true", False: "false", None: "null" };

function same_(a, b) {
  return a === b || (isNumber(a) && !isNumber(b) && a === Number(b)) || String(a) === String(b);
}

function tokensOf(text) {
  const tokens = [], pattern = /\s*(?:(`[^`]*`|"[^"]*"|'[^']*')|(<=|>=|!=|==|[=<>~()[\],])|([^\s<>=!~()[\],"'`]+|!))/gy;
  while (pattern.lastIndex < text.trimEnd().length) {
    const found = pattern.exec(text);
    if (!found) throw new Error("a quote that is not closed");
    const [, quoted, sign, word] = found;
    tokens.push(sign ? { sign } : { text: quoted ? quoted.slice(1, -1) : word, isName: quoted?.[0] === "`", quoted: Boolean(quoted) });
  }
  return tokens;
}

/** A typed filter as a function of an experiment, in the words of `synthesize --where`:
 * `1e-4 < learning_rate < 0.01 and (optimizer in ["adam", "sgd"] or status = failed)`; a bare word is
 * looked for in names. It is parsed, never run as a script. */
function parsed(text) {
  const tokens = tokensOf(text);
  let at = 0;
  const isSign = (sign) => tokens[at]?.sign === sign;
  const isWord = (word, ahead = 0) => { const token = tokens[at + ahead]; return Boolean(token) && !token.quoted && token.text?.toLowerCase() === word; };
  const either = () => {
    const parts = [both()];
    while (isWord("or")) { at++; parts.push(both()); }
    return parts.length > 1 ? (i) => parts.some((part) => part(i)) : parts[0];
  };
  const both = () => {
    const parts = [one()];
    while (at < tokens.length && !isSign(")") && !isWord("or")) { if (isWord("and")) at++; parts.push(one()); }
    return parts.length > 1 ? (i) => parts.every((part) => part(i)) : parts[0];
  };
  const one = () => {
    if (isWord("not")) { at++; const part = one(); return (i) => !part(i); }
    if (!isSign("(")) return compared();
    at++;
    const part = either();
    if (!isSign(")")) throw new Error("a bracket that is not closed");
    at++;
    return part;
  };
  const operand = (after) => {
    const token = tokens[at++];
    if (!token || token.sign) throw new Error(after ? `no value after '${after}'` : token ? `'${token.sign}' without a name before it` : "it ends too early");
    return token;
  };
  const compared = () => {
    const first = operand();
    const isNot = isWord("not") && isWord("in", 1);
    if (isNot || isWord("in")) { at += isNot ? 2 : 1; const inside = among(first); return isNot ? (i) => !inside(i) : inside; }
    const parts = [];
    for (let left = first; tokens[at]?.sign in COMPARE;) {
      const { sign } = tokens[at++], right = operand(`${left.text} ${sign}`);
      parts.push(comparison(left, sign, right));
      left = right;
    }
    if (!parts.length && /^[-+*/%]+$/.test(first.text) && !first.quoted) throw new Error(`'${first.text}': nothing is computed here`);
    if (!parts.length) return (i) => D.names[i].toLowerCase().includes(first.text.toLowerCase());
    return (i) => parts.every((part) => part(i));
  };
  const among = (name) => {
    const close = { "(": ")", "[": "]" }[tokens[at]?.sign], values = [];
    if (!close) throw new Error(`no list after '${name.text} in'`);
    at++;
    while (!isSign(close)) { values.push(operand(`${name.text} in`)); if (isSign(",")) at++; else if (!isSign(close)) throw new Error("a list that is not closed"); }
    at++;
    const parts = values.map((value) => comparison(name, "=", value));
    return (i) => parts.some((part) => part(i));
  };
  if (!tokens.length) return null;
  const whole = either();
  if (at < tokens.length) throw new Error("a bracket too many");
  return whole;
}

function comparison(left, sign, right) {
  const isValue = (token) => !token.isName && (token.quoted || (token.text !== "" && !Number.isNaN(Number(token.text))));
  if (isValue(left) && !byName.has(left.text)) {
    if (isValue(right)) throw new Error(`no name in '${left.text} ${sign} ${right.text}'`);
    return comparison(right, TURNED[sign] ?? sign, left);
  }
  const of = asked(left.text);
  const other = right.isName || (!isValue(right) && byName.has(right.text)) ? asked(right.text) : null;
  if (ORDERS.has(sign)) {
    const number = Number(right.text);
    if (!other && Number.isNaN(number)) throw new Error(`'${right.text}' is no number`);
    return (i) => { const a = of(i), b = other ? other(i) : number; return isNumber(a) && isNumber(b) && COMPARE[sign](a, b); };
  }
  const word = right.quoted ? right.text : AS_JSON[right.text] ?? right.text;
  return (i) => { const value = of(i); return COMPARE[sign](value ?? (word === "null" ? "null" : "none"), other ? other(i) : word); };
}

/** Returns what a name stands for: a column, or one of a few special names. */
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

/** Computes which experiments are shown, and draws everything again. */
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
    return el("button", { type: "button", "aria-label": `remove the range: ${text}`, onclick: () => { state.brushes.delete(column); refilter(); } }, `${text}  ✕`);
  }));
}
