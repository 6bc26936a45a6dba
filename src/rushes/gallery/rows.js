// Justified rows: every picture in its own shape, every row as wide as the wall. Pure arithmetic.

const GAP = 6;

/** The height that rows come close to. */
const wanted = (width) => (width < 560 ? 170 : width < 1000 ? 210 : width < 1900 ? 240 : 290);

const ratio = ({ shape }) => Math.min(4, Math.max(0.3, shape)) || 1;

/**
 * Rows of all `items`, one of which begins at `from`; the last one is left out while it is not full, unless that is
 * all there is. Each: { y, height, from, to }, and how `tall` it would be if there were parts of pixels.
 */
export function rows(items, from, width, ended) {
  // What stands above is filled from the bottom up: what is not full comes first, at the top.
  const all = [...filled(items.slice(0, from).reverse(), width, true).reverse(), ...filled(items.slice(from), width, ended)];
  let y = 0, first = 0;
  return all.map(({ tall, count }) => {
    const row = { y, tall, height: Math.round(tall), from: first, to: first + count };
    [y, first] = [y + row.height + GAP, row.to];
    return row;
  });
}

function filled(items, width, ended) {
  const made = [], height = wanted(width);
  let count = 0, sum = 0;
  const tall = () => (width - GAP * (count - 1)) / sum;
  const close = (tall) => {
    made.push({ tall, count });
    [count, sum] = [0, 0];
  };
  const add = (item, times = 1) => { [count, sum] = [count + times, sum + times * ratio(item)]; };
  for (const item of items) {
    const without = tall();
    add(item);
    // A row is closed with or without this one, whichever comes closer.
    if (tall() < height && without / height < height / tall()) {
      add(item, -1);
      close(without);
      add(item);
    }
    if (tall() <= height) close(tall());
  }
  if (count && ended) close(Math.min(height * (made.length ? 1 : 1.25), tall()));
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
