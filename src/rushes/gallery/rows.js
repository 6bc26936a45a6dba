// Justified rows: every picture in its own shape, every row as wide as the wall. Pure arithmetic.

export const GAP = 6;

/** The height that rows come close to. */
export const wanted = (width) => (width < 560 ? 170 : width < 1000 ? 210 : width < 1900 ? 240 : 290);

const ratio = (item) => Math.min(4, Math.max(0.3, item.width / item.height)) || 1;

/**
 * Rows of `items[from..to)`, the first at `y`. The last one is left out while it is not full, unless `ragged`.
 * Each: { y, height, from, to, open }; `open`: more items would change it.
 */
export function rows(items, from, to, width, y, ragged) {
  const made = [], height = wanted(width);
  let start = from, sum = 0;
  const close = (end, tall, open = false) => {
    made.push({ y, height: Math.round(tall), from: start, to: end, open });
    y += Math.round(tall) + GAP;
    [start, sum] = [end, 0];
  };
  const tall = (count, ratios) => (width - GAP * (count - 1)) / ratios;
  for (let index = from; index < to; index++) {
    const count = index - start, before = count ? tall(count, sum) : Infinity;
    const after = tall(count + 1, sum + ratio(items[index]));
    if (after < height && before / height < height / after) close(index, before);
    sum += ratio(items[index]);
    const now = tall(index - start + 1, sum);
    if (now <= height) close(index + 1, now);
  }
  if (start < to && ragged) close(to, Math.min(height * (made.length ? 1 : 1.25), tall(to - start, sum)), true);
  return made;
}

/** The same, filled from the bottom up: what is not full comes first, at the top. */
export function rowsAbove(items, to, width) {
  const count = to, turned = items.slice(0, to).reverse();
  const made = rows(turned, 0, count, width, 0, true).reverse();
  let y = 0;
  return made.map((row) => {
    const placed = { y, height: row.height, from: count - row.to, to: count - row.from };
    y += row.height + GAP;
    return placed;
  });
}

/** Where each item of a row stands: [x, width] in whole pixels, so that no edge is blurred. */
export function across(items, row, width) {
  const shapes = items.slice(row.from, row.to).map(ratio), gaps = GAP * (shapes.length - 1);
  const sum = shapes.reduce((a, b) => a + b, 0), full = (width - gaps) / sum;
  const height = Math.abs(full - row.height) <= 1 ? full : row.height;
  let x = 0;
  return shapes.map((shape) => {
    const left = Math.round(x), right = Math.round(x + shape * height);
    x += shape * height + GAP;
    return [left, right - left];
  });
}
