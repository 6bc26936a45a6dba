// The wall: justified rows of what the library holds, of which only those near the window are elements.

import { byId, calm, element, fill, modified } from "./element.js";
import { Library, still } from "./library.js";
import { across, rows } from "./rows.js";
import { address, filtered } from "./view.js";

const PLAY_MS = 350;

const wall = byId("wall"), state = byId("state"), news = byId("news"), header = document.querySelector("header");
const tiles = new Map();

let library = null, failed = null;
/** What is laid out: the items of the library, their rows, and how wide. */
let shown = [], laid = [], width = 0;
/** A row begins with this item, so that it stays where somebody looks at it; null: the rows are filled from the top. */
let anchor = null;
/** The item whose tile Tab comes to and is always there, and how many have come above the window. */
let current = null, fresh = 0;

/** Show what the address looks at, from its top. Resolves when there is something to see. */
export async function showWall() {
  const mine = library = new Library();
  [failed, fresh] = [null, 0];
  wall.ariaBusy = "true";
  await more();
  if (mine !== library) return;
  wall.ariaBusy = null;
  scrollTo({ top: 0, behavior: "instant" });
}

export const loaded = () => library?.items ?? [];

/** Take off the wall what is hidden, and put back what is not any more. */
export function rehang() {
  library.merge();
  relay();
}

const indexOf = (id) => loaded().findIndex((item) => item.id === id);

/** The next newer (-1) or older (1) one, read on where that is needed; undefined at the ends. */
export async function neighbour(id, by) {
  const at = indexOf(id);
  if (at < 0) return undefined;
  if (at + by < loaded().length || library.done) return loaded()[at + by];
  await more();
  return failed ? undefined : neighbour(id, by);
}

/** Put the focus on an item's tile, if it is on the wall. */
export function focusTile(id) {
  current = shown[indexOf(id)];
  render();
  tiles.get(current)?.focus();
}

/** One thing at a time: whoever asks meanwhile waits for what is on its way. */
function read(what) {
  const mine = library;
  return mine.busy ??= what(mine).catch((error) => error).then((answer) => {
    mine.busy = null;
    if (mine !== library) return;
    const had = failed;
    failed = answer instanceof Error ? answer : null;
    if (answer === true || failed || had) relay(); else render();
  });
}

const more = () => read((library) => library.more());

/** Look whether something came or went. */
export async function lookAgain() {
  while (library?.busy) await library.busy;
  if (!library || document.hidden) return;
  if (failed && !loaded().length) return showWall();
  const mine = library, before = new Set(shown);
  await read(() => mine.again(seen()?.from));
  if (mine !== library || seen() === laid[0]) return;
  fresh += shown.filter((item) => !before.has(item)).length;
  say();
}

// --- laying: every place is known before its picture is there ---

const top = () => header.offsetHeight - wall.getBoundingClientRect().top;
const rowOf = (index) => laid.find((row) => index < row.to);
/** The first row in sight. */
function seen() {
  const at = top();
  return laid.find((row) => row.y + row.height > at) ?? laid.at(-1);
}

/** Lay out what the library holds now; what somebody looks at stays where it is, unless the rows are to be `straight`. */
function relay(straight = false) {
  const items = loaded(), row = seen(), from = row && row.y - top();
  const narrower = width !== wall.clientWidth, same = !straight && !narrower && shown.every((item, index) => item === items[index]);
  if (!same) anchor = straight || row === laid[0] ? null : shown.slice(row.from, row.to).find((item) => items.includes(item));
  wall.classList.toggle("gliding", !same && !narrower && !anchor);
  lay(items);
  if (!same && anchor) scrollBy({ top: rowOf(shown.indexOf(anchor)).y - top() - from, behavior: "instant" });
  library?.forget(seen()?.from ?? 0);
  render();
  say();
}

function lay(items) {
  [shown, width] = [items, wall.clientWidth];
  laid = rows(shown, Math.max(0, shown.indexOf(anchor)), width, library?.done || Boolean(failed));
  const last = laid.at(-1);
  wall.style.height = `${last ? last.y + last.height : 0}px`;
}

// --- rendering: what is near the window, and nothing else ---

function render() {
  const at = top() - header.offsetHeight, near = innerHeight / 2, index = shown.indexOf(current);
  // Back at the top, where a row may not be full.
  if (anchor && at <= 0) return relay(true);
  const wanted = laid.filter(({ y, height, from, to }) =>
    (y + height > at - near && y < at + innerHeight + near) || (from <= index && index < to));
  const kept = new Set(wanted.flatMap((row) => shown.slice(row.from, row.to)));
  for (const [item, tile] of tiles) if (!kept.has(item)) drop(item, tile);
  let next = wall.firstElementChild;
  for (const row of wanted) across(shown, row).forEach((place, column) => {
    const tile = tileOf(shown[row.from + column]);
    tile.index = row.from + column;
    if (tile.row !== row) put(tile, row, place);
    if (tile === next) next = next.nextElementSibling; else wall.insertBefore(tile, next);
  });
  tabStop(wanted);
  readNear([...kept].find((item) => !item.told), (laid.at(-1)?.y ?? 0) - at - innerHeight);
}

/** Read what is wanted soon: what was forgotten of an item here, or what follows when little is left below. */
function readNear(far, left) {
  if (!library || library.busy || failed) return;
  if (far) read((library) => library.again(shown.indexOf(far)));
  else if (!library.done && left < 2 * innerHeight) more();
}

function tileOf(item) {
  const tile = tiles.get(item) ?? element("a", { className: "tile", href: address({ item: item.id }), tabIndex: -1, item });
  tiles.set(item, tile);
  if (item.told && !tile.firstChild) dress(tile, item.told);
  return tile;
}

function dress(tile, told) {
  const onerror = () => tile.classList.add("blind");
  fill(tile, element("img", { alt: told.prompt, decoding: "async", onerror, src: still(told) }),
    told.duration && element("b", {}, told.duration), element("span", { className: "words", ariaHidden: "true" }, told.prompt));
}

function put(tile, row, [x, wide]) {
  tile.row = row;
  Object.assign(tile.style, { transform: `translate(${x}px, ${row.y}px)`, width: `${wide}px`, height: `${row.height}px` });
}

function drop(item, tile) {
  tiles.delete(item);
  if (tile === attended) attend(null);
  tile.querySelector("img")?.removeAttribute("src");
  tile.remove();
}

/** Tab comes to one tile: the last one focused, or else the first in sight. */
function tabStop(wanted) {
  const row = wanted.find((row) => row.y >= top()) ?? wanted[0], stop = tiles.get(current) ?? tiles.get(shown[row?.from]);
  for (const tile of tiles.values()) tile.tabIndex = tile === stop ? 0 : -1;
}

function say() {
  news.hidden = !fresh;
  news.textContent = `${fresh} new ↑`;
  state.className = failed ? "failed" : shown.length || !library?.done ? "" : filtered() ? "none" : "empty";
  if (failed) state.querySelector("span").textContent = failed.message;
}

let goal = null;

/** The item above or below, where the eye expects it: going on, that is where one began. */
function vertical(index, by) {
  const row = rowOf(index), other = laid[laid.indexOf(row) + by];
  if (!other) return index;
  const x = goal?.index === index ? goal.x : middle(across(shown, row)[index - row.from]);
  const off = across(shown, other).map((place) => Math.abs(middle(place) - x));
  goal = { index: other.from + off.indexOf(Math.min(...off)), x };
  return goal.index;
}

const middle = ([x, wide]) => x + wide / 2;

wall.onkeydown = (event) => {
  if (modified(event) || !event.target.item) return;
  const { index } = event.target, last = laid.at(-1).to - 1;
  const to = { ArrowLeft: () => index - 1, ArrowRight: () => index + 1, ArrowUp: () => vertical(index, -1),
    ArrowDown: () => vertical(index, 1), Home: () => 0, End: () => last }[event.key]?.();
  if (to === undefined) return;
  event.preventDefault();
  focusTile(shown[Math.min(last, Math.max(0, to))].id);
};

// --- hover or focus: the video itself ---

const film = element("video", { muted: true, loop: true, playsInline: true, tabIndex: -1, ariaHidden: "true" });
let attended = null, soon = 0;

function attend(tile) {
  if (tile === attended) return;
  clearTimeout(soon);
  film.remove();
  attended = tile;
  if (tile?.item.told?.kind === "video" && !calm.matches) soon = setTimeout(play, PLAY_MS);
}

function play() {
  film.src = attended.item.told.url;
  attended.firstChild.after(film);
  film.play().catch(() => {});
}

wall.onpointerover = ({ pointerType, target }) => { if (pointerType === "mouse") attend(target.closest(".tile")); };
wall.onpointerleave = () => attend(null);
wall.addEventListener("focusin", ({ target }) => {
  current = target.item;
  if (target.matches(".tile:focus-visible")) attend(target);
});
wall.addEventListener("focusout", () => attend(null));

addEventListener("scroll", () => {
  if (fresh && seen() === laid[0]) { fresh = 0; say(); }
  render();
});
addEventListener("resize", () => { if (width === wall.clientWidth) render(); else relay(); });

news.onclick = () => scrollTo({ top: 0, behavior: calm.matches ? "instant" : "smooth" });
state.querySelector("button").onclick = lookAgain;
