// Positions of values on an axis: 0 to 1, or in the slot below for a missing value or a string.

const SLOT = -0.09;

/** Returns the range of an axis. Outliers of a metric do not stretch it: they are drawn at the edge. */
function extent(column) {
  const known = column.v.filter((value) => isFinite_(value) && (!column.log || value > 0)).sort((a, b) => a - b);
  if (!known.length) return [0, 1];
  let lo = known[0], hi = known[known.length - 1];
  if (column.isMetric && known.length >= 20) {
    const at = (share) => known[Math.round(share * (known.length - 1))];
    const f = column.log ? Math.log : (x) => x;
    const reach = 3 * (f(at(0.9)) - f(at(0.1)));
    if (reach > 0 && f(at(0.1)) - f(lo) > reach) lo = at(0.02);
    if (reach > 0 && f(hi) - f(at(0.9)) > reach) hi = at(0.98);
    if (column.dir === "max") hi = known[known.length - 1];
    if (column.dir === "min") lo = known[0];
  }
  if (isNumber(column.low) && isNumber(column.high) && (!column.log || column.low > 0)) {
    lo = Math.min(lo, column.low);
    hi = Math.max(hi, column.high);
  }
  return [lo, hi];
}

function scaled(column) {
  const slots = column.v.some((value) => value === null || (!column.isText && !isFinite_(value)));
  column.hasSlot = slots;
  column.slotName = !column.isText && column.v.some((value) => typeof value === "string") ? "other" : "none";
  if (column.isText) {
    const count = column.dict.length || 1;
    column.at = (i) => (column.i[i] < 0 ? SLOT : (column.i[i] + 0.5) / count);
    column.width = 0.6 / count;
  } else {
    const [lo, hi] = extent(column);
    const f = column.log ? Math.log10 : (x) => x;
    const a = f(lo), span = f(hi) - a || 1, middle = hi === lo;
    column.lo = lo;
    column.hi = hi;
    column.place = (value) => (middle ? 0.5 : (f(value) - a) / span);
    column.value = (t) => (middle ? lo : column.log ? 10 ** (a + t * span) : a + t * span);
    column.at = (i) => {
      const value = column.v[i];
      if (!isFinite_(value)) return column.isMetric && isNumber(value) && !Number.isNaN(value) ? (value > 0 ? 1 : 0) : SLOT;
      return Math.max(0, Math.min(1, column.place(value)));
    };
    const values = [...new Set(column.v.filter(isFinite_))].sort((x, y) => x - y);
    const few = column.kind === "hyper" && values.length <= 12 && isApart(values.map(column.place));
    column.few = few ? values : null;
    column.width = few && N > 40 ? 0.02 : 0;
  }
  column.t = Float32Array.from({ length: N }, (_, i) => column.at(i));
  return column;
}

/** Returns whether tick labels at these positions do not overlap. */
const isApart = (places) => places.every((t, k) => k === 0 || t - places[k - 1] >= 0.045);

/** Returns the jitter of an experiment, always the same: -0.5 to 0.5. */
const jitter = (i) => (Math.imul(i + 1, 2654435761) >>> 0) / 4294967296 - 0.5;

const scaleOf = (column) => (column.t ? column : scaled(column));

/** Returns the positions and labels of an axis's ticks, about `most` of them at most. */
function ticks(column, most = 6) {
  if (column.isText) {
    const count = column.dict.length, step = Math.ceil(count / (most * 2));
    return column.dict.map((text, k) => [(k + 0.5) / count, text]).filter((_, k) => k % step === 0);
  }
  if (column.few) return column.few.map((value) => [column.place(value), short(value)]);
  if (column.lo === column.hi) return [[0.5, written(column.lo)]];
  return (column.log ? logTicks(column.lo, column.hi, most) : niceTicks(column.lo, column.hi, most, column.whole)).map((value) => [column.place(value), short(value)]);
}

function niceTicks(lo, hi, most, whole = false) {
  const raw = (hi - lo) / most, power = 10 ** Math.floor(Math.log10(raw));
  const nice = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power, step = whole ? Math.max(1, nice) : nice;
  const made = [];
  for (let k = Math.ceil(lo / step - 1e-9); k * step <= hi + step * 1e-9 && made.length < 20; k++) made.push(Number((k * step).toPrecision(10)));
  return made;
}

function logTicks(lo, hi, most) {
  const first = Math.floor(Math.log10(lo)), last = Math.ceil(Math.log10(hi)), made = [];
  const factors = last - first <= 1 ? [1, 2, 3, 5] : last - first <= 3 ? [1, 3] : [1];
  const step = Math.max(1, Math.ceil((last - first) / most));
  for (let e = first; e <= last; e += step) for (const factor of factors) {
    const value = Number((factor * 10 ** e).toPrecision(3));
    if (value >= lo * (1 - 1e-9) && value <= hi * (1 + 1e-9)) made.push(value);
  }
  return made.length ? made : [lo, hi];
}

function short(value) {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size >= 1e5 || size < 1e-3) return String(Number(value.toPrecision(3)).toExponential()).replace("e+", "e");
  return String(Number(value.toPrecision(4)));
}

/** Describes a range of an axis. */
function rangeText(column, [lo, hi]) {
  const parts = [];
  if (column.isText) parts.push(column.dict.filter((_, k) => (k + 0.5) / column.dict.length >= lo && (k + 0.5) / column.dict.length <= hi).join(", "));
  else if (hi > 0) parts.push(`${short(column.value(Math.max(0, lo)))} to ${short(column.value(Math.min(1, hi)))}`);
  if (lo <= SLOT) parts.push(column.slotName);
  return `${column.name}: ${parts.filter(Boolean).join(" or ")}`;
}
