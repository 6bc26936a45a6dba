// Justified rows: every picture in its own shape, every row as wide as the wall. Pure arithmetic.

export const GAP = 6;

/** The height that rows come close to. */
const wanted = (width) => (width < 560 ? 170 : width < 1000 ? 210 : width < 1900 ? 240 : 290);

const ratio = ({ shape }) => Math.min(4, Math.max(0.3, shape)) || 1;

/**
 * Rows of all `items`, one of which begins at `from`; the last one is left out while it is not full, unless that is
 * all there is. Each: { y, height, from, to }, and how `tall` it would be if there were parts of pixels.
 */
export function rows(items, from, width, ended) {
  // What stands above is filled from the bottom up: what is not full comes first, at the top.
  const above = filled(items.slice(0, from).reverse(), width, true).reverse();
  const below = filled(items.slice(from), width, ended);
  let y = 0;
  return [...above.map(({ from: last, to: first, ...row }) => ({ ...row, from: from - first, to: from - last })),
    ...below.map((row) => ({ ...row, from: from + row.from, to: from + row.to }))].map((row) => {
    const placed = { ...row, y };
    y += row.height + GAP;
    return placed;
  });
}

function filled(items, width, ended) {
  const made = [], height = wanted(width);
  let from = 0, sum = 0;
  const tall = (count, ratios) => (width - GAP * (count - 1)) / ratios;
  const close = (to, tall) => {
    made.push({ tall, height: Math.round(tall), from, to });
    [from, sum] = [to, 0];
  };
  items.forEach((item, index) => {
    const count = index - from, without = count ? tall(count, sum) : Infinity, having = tall(count + 1, sum + ratio(item));
    if (having < height && without / height < height / having) close(index, without);
    sum += ratio(item);
    const now = tall(index + 1 - from, sum);
    if (now <= height) close(index + 1, now);
  });
  if (from < items.length && ended) close(items.length, Math.min(height * (made.length ? 1 : 1.25), tall(items.length - from, sum)));
  return made;
}

/** Where each item of a row stands: [x, width] in whole pixels, so that no edge is blurred. */
export function across(items, { from, to, tall }) {
  let x = 0;
  return items.slice(from, to).map((item) => {
    const left = Math.round(x), end = x + ratio(item) * tall;
    x = end + GAP;
    return [left, Math.round(end) - left];
  });
}
