// The wall: justified rows of what the library holds, of which only those near the window are elements.

import { byId, calm, element } from "./element.js";
import { Library, still } from "./library.js";
import { GAP, across, rows, rowsAbove } from "./rows.js";
import { address, filtered } from "./view.js";

const PLAY_MS = 350;

const wall = byId("wall"), state = byId("state"), news = byId("news"), header = document.querySelector("header");
const words = element("span", { className: "words", ariaHidden: "true" });
const tiles = new Map(), hidden = new Set();

let library = null, looked = null, failed = null;
/** What is laid out: the items, their rows, the width of it all, and whether the topmost row is not full. */
let shown = [], laid = [], width = 0, ragged = false;
/** The id of the tile that Tab comes to, and how many have come above the window. */
let current = "", fresh = 0;

// --- what is shown ---

/** Show what a view looks at, from its top. Resolves when there is something to see. */
export async function showWall(view) {
  library?.close();
  const mine = library = new Library(view);
  looked = view;
  [failed, fresh, current] = [null, 0, ""];
  for (const id of hidden) mine.hide(id);
  wall.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => { if (mine === library) loading(); }, 150);
  await work(() => mine.more());
  clearTimeout(slow);
  if (mine !== library) return;
  wall.removeAttribute("aria-busy");
  scrollTo({ top: 0, behavior: "instant" });
  relay(true);
}

export const loaded = () => library?.items ?? [];

/** Take an item off the wall, or put it back: it is being deleted. */
export function hide(id) { hidden.add(id); library?.hide(id); relay(); }
export function unhide(id) { hidden.delete(id); library?.unhide(id); relay(); }

/** The next newer (-1) or older (1) one, read on where that is needed; undefined at the ends. */
export async function neighbour(id, by) {
  const at = () => loaded().findIndex((item) => item.id === id);
  if (at() >= 0 && at() + by >= loaded().length) await readOn();
  return at() < 0 ? undefined : loaded()[at() + by];
}

/** Put the focus on an item's tile, if it is on the wall. */
export function focusTile(id) {
  const index = shown.findIndex((item) => item.id === id);
  if (index >= 0) focusIndex(index);
}

// --- reading: one thing at a time ---

async function work(read) {
  const mine = library;
  if (!mine || mine.busy) return false;
  mine.busy = true;
  try {
    const answer = await read();
    if (mine === library) failed = null;
    return answer;
  } catch (error) {
    if (error.name !== "AbortError" && mine === library) failed = error;
    return false;
  } finally {
    mine.busy = false;
  }
}

async function readOn() {
  if (!library || library.done || library.busy) return;
  const mine = library;
  await work(() => mine.more());
  if (mine === library) relay();
}

/** Look whether something came or went; what the person is looking at stays where it is. */
export async function lookAgain() {
  if (!library || library.busy || document.hidden) return;
  if (failed && !loaded().length) return void await showWall(looked);
  const mine = library, before = new Set(shown.map((item) => item.id)), had = failed;
  const changed = await work(() => mine.again(shown[seen()?.from]));
  if (mine !== library || (!changed && !failed === !had)) return;
  if (seen() !== laid[0]) fresh += loaded().filter((item) => !before.has(item.id)).length;
  relay();
}

// --- laying: every place is known before its picture is there ---

const top = () => header.offsetHeight - wall.getBoundingClientRect().top;
/** The first row in sight. */
const seen = () => laid[rowAt(top())];

function relay(whole = false) {
  const items = loaded(), row = seen(), old = shown;
  const grown = !whole && old.length > 0 && old.every((item, index) => item === items[index]);
  const from = whole || grown || row === laid[0] ? 0 : follows(old.slice(row.from, row.to), items);
  if (grown) lengthen(items); else lay(items, from);
  if (!grown && !from && !whole && old.length) glide();
  if (from) scrollBy({ top: laid.find((other) => other.from === from).y - row.y, behavior: "instant" });
  render();
  say();
}

/** Lay out so that a row begins at `from`, as one did before. */
function lay(items, from) {
  laid = from ? rowsAbove(items, from, wall.clientWidth) : [];
  ragged = from > 0;
  for (const [, tile] of tiles) tile.row = null;
  follow(items, from);
}

/** More follows on what was laid out. */
function lengthen(items) {
  const open = laid.at(-1)?.open && laid.pop();
  follow(items, open ? open.from : laid.at(-1)?.to ?? 0);
}

function follow(items, from) {
  [shown, width] = [items, wall.clientWidth];
  const ended = !library || library.done || Boolean(failed), last = laid.at(-1);
  laid.push(...rows(items, from, items.length, width, last ? last.y + last.height + GAP : 0, ended));
  const end = laid.at(-1);
  wall.style.height = `${end ? end.y + end.height : 0}px`;
}

/** Where the first of these that is still there stands now. */
function follows(some, items) {
  const where = new Map(items.map((item, index) => [item.id, index]));
  return some.map((item) => where.get(item.id)).find((index) => index !== undefined) ?? 0;
}

let gliding = 0;
function glide() {
  if (calm.matches) return;
  wall.classList.add("gliding");
  clearTimeout(gliding);
  gliding = setTimeout(() => wall.classList.remove("gliding"), 400);
}

/** The index of the row at that height, or of the first below it. */
function rowAt(y) {
  let low = 0, high = laid.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (laid[middle].y + laid[middle].height > y) high = middle; else low = middle + 1;
  }
  return low;
}

// --- rendering: what is near the window, and nothing else ---

function render() {
  const at = top() - header.offsetHeight, near = innerHeight / 2;
  const first = rowAt(at - near), end = laid.findIndex((row, index) => index >= first && row.y > at + innerHeight + near);
  const wantedRows = laid.slice(first, end < 0 ? laid.length : end);
  const keep = new Set(wantedRows.flatMap((row) => shown.slice(row.from, row.to)));
  for (const [item, tile] of tiles) {
    if (!keep.has(item) && (tile !== document.activeElement || shown[tile.index] !== item)) drop(item, tile);
  }
  let next = wall.firstElementChild;
  for (const row of wantedRows) {
    const places = across(shown, row, width);
    for (let index = row.from; index < row.to; index++) {
      const tile = tiles.get(shown[index]) ?? make(shown[index]);
      tile.index = index;
      if (tile.row !== row) put(tile, row, places[index - row.from]);
      while (next && next !== tile && next.index < index) next = next.nextElementSibling;
      if (next === tile) next = next.nextElementSibling; else wall.insertBefore(tile, next);
    }
  }
  tabStop(wantedRows);
  if (ragged && at <= 0) requestAnimationFrame(straighten);
  const rest = (laid.at(-1)?.y ?? 0) - at - innerHeight;
  if (library && !library.done && !failed && rest < 2 * innerHeight) readOn();
}

/** Back at the top, where a row may not be full: lay it all out anew. */
function straighten() {
  if (!ragged) return;
  glide();
  lay(shown, 0);
  render();
}

function make(item) {
  const picture = element("img", { alt: item.prompt, decoding: "async", draggable: false });
  const tile = element("a", { className: "tile", href: address({ item: item.id }), tabIndex: -1 }, picture);
  picture.src = still(item);
  picture.onerror = () => tile.classList.add("blind");
  if (item.duration) tile.append(element("b", { textContent: item.duration }));
  tile.item = item;
  tiles.set(item, tile);
  return tile;
}

function put(tile, row, [x, across]) {
  tile.row = row;
  tile.style.transform = `translate(${x}px, ${row.y}px)`;
  tile.style.width = `${across}px`;
  tile.style.height = `${row.height}px`;
}

function drop(item, tile) {
  tiles.delete(item);
  if (playing?.tile === tile) rest();
  tile.firstElementChild.removeAttribute("src");
  tile.remove();
}

/** Tab comes to one tile: the last one focused, or else the first in sight. */
function tabStop(wantedRows) {
  const row = wantedRows.find((row) => row.y >= top()) ?? wantedRows[0];
  const first = row && shown[row.from].id;
  const stop = [...tiles.keys()].some((item) => item.id === current) ? current : first;
  for (const [item, tile] of tiles) tile.tabIndex = item.id === stop ? 0 : -1;
}

/** What there is to say where there is nothing, or nothing more, to see. */
function say() {
  const nothing = !shown.length;
  news.hidden = !fresh;
  news.textContent = `${fresh} new ↑`;
  if (failed && failed.status !== 401) return tell(failed.message + (nothing ? "" : " What was read before is still here."), true);
  if (library && nothing && library.done) return tell(filtered(looked) ? "Nothing here holds all of that." : "Nothing here yet. Make the first one.");
  tell("");
}

function tell(sentence, again = false) {
  const [words, button] = state.children;
  words.textContent = sentence;
  button.hidden = !again;
  state.className = again && shown.length ? "bar" : "";
  state.hidden = !sentence;
}

function loading() {
  if (shown.length) return;
  tell("Loading…");
  state.className = "loading";
}

// --- moving about ---

function focusIndex(index) {
  const row = laid.find((row) => row.from <= index && index < row.to);
  if (!row) return;
  const above = row.y - top(), below = row.y + row.height - top() + header.offsetHeight - innerHeight;
  if (above < GAP) scrollBy({ top: above - GAP, behavior: "instant" });
  else if (below > -GAP) scrollBy({ top: below + GAP, behavior: "instant" });
  current = shown[index].id;
  render();
  tiles.get(shown[index]).focus({ preventScroll: true });
}

let goal = null;

/** The item above or below, where the eye expects it: going on, that is where one began. */
function vertical(index, by) {
  const at = laid.findIndex((row) => row.from <= index && index < row.to), row = laid[at], other = laid[at + by];
  if (!other) return index;
  const middles = (some) => across(shown, some, width).map(([left, wide]) => left + wide / 2);
  goal = goal?.at === index ? goal : { x: middles(row)[index - row.from] };
  const off = middles(other).map((x) => Math.abs(x - goal.x));
  goal.at = other.from + off.indexOf(Math.min(...off));
  return goal.at;
}

wall.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const tile = event.target.closest(".tile");
  if (!tile) return;
  const index = tile.index, last = laid.at(-1).to - 1;
  const to = { ArrowLeft: () => index - 1, ArrowRight: () => index + 1, ArrowUp: () => vertical(index, -1),
    ArrowDown: () => vertical(index, 1), Home: () => 0, End: () => last }[event.key]?.();
  if (to === undefined) return;
  event.preventDefault();
  focusIndex(Math.min(last, Math.max(0, to)));
});

// --- hover or focus: the words, and the video itself ---

let playing = null;

function play(tile) {
  if (playing?.tile === tile) return;
  rest();
  words.textContent = tile.item.prompt;
  tile.append(words);
  playing = { tile, timer: 0, video: null };
  if (tile.item.kind === "video" && !calm.matches) playing.timer = setTimeout(() => move(playing), PLAY_MS);
}

function move(mine) {
  mine.video = element("video", { muted: true, loop: true, playsInline: true, src: mine.tile.item.url, tabIndex: -1 });
  mine.video.setAttribute("aria-hidden", "true");
  mine.tile.firstElementChild.after(mine.video);
  mine.video.play().catch(() => {});
}

function rest() {
  if (!playing) return;
  clearTimeout(playing.timer);
  words.remove();
  playing.video?.removeAttribute("src");
  playing.video?.remove();
  playing = null;
}

const under = (event) => event.target.closest?.(".tile");
wall.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse" && under(event)) play(under(event)); });
wall.addEventListener("pointerleave", rest);
wall.addEventListener("focusin", (event) => {
  const tile = under(event);
  if (!tile) return;
  current = tile.item.id;
  if (tile.matches(":focus-visible")) play(tile);
});
wall.addEventListener("focusout", rest);

// --- the window ---

let asked = 0;
addEventListener("scroll", () => {
  asked ||= requestAnimationFrame(() => {
    asked = 0;
    if (fresh && seen() === laid[0]) { fresh = 0; say(); }
    render();
  });
}, { passive: true });

new ResizeObserver(() => {
  if (wall.clientWidth === width) return;
  const row = seen(), index = row?.from;
  const from = row ? row.y - top() : 0;
  lay(shown, 0);
  const now = laid.find((other) => other.from <= index && index < other.to);
  if (row?.y && now) scrollBy({ top: now.y - top() - from, behavior: "instant" });
  render();
}).observe(wall);
addEventListener("resize", render);

news.addEventListener("click", () => scrollTo({ top: 0, behavior: calm.matches ? "instant" : "smooth" }));
state.querySelector("button").addEventListener("click", () => (loaded().length ? lookAgain() : showWall(looked)));
