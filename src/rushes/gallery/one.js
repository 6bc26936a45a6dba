// One item: its player, its facts, where it comes from, and what can be made of it.

import { api, V1 } from "./api.js";
import { button, byId, calm, element, fill, toast } from "./element.js";
import { hidden, itemOf, pathOf } from "./library.js";
import { inputs, lineage, outward } from "./lineage.js";
import { openMake } from "./make.js";
import { address, follow, go, view } from "./view.js";
import { focusTile, loaded, neighbour, rehang } from "./wall.js";

const UNDO_SECONDS = 10;

const viewer = byId("one"), stage = byId("stage"), speed = byId("speed");

let open = null, asked = "";

/** Show the item of that id, or none. Called whenever the address may have changed. */
export async function showOne(id) {
  if (asked === id && id) return;
  asked = id;
  if (!id) return viewer.close();
  const known = loaded().find((item) => item.id === id)?.told;
  viewer.showModal();
  if (!known) say("Loading…");
  const item = known ?? await itemOf(id).catch((error) => { if (asked === id) missing(id, error); });
  if (item && asked === id) show(item);
}

function say(...words) {
  viewer.className = "bare";
  empty();
  fill(byId("prompt"), words);
  byId("close").focus();
}

function missing(id, { status, message }) {
  say(message, " ", button("Try again", () => { asked = ""; showOne(id); }));
  viewer.classList.toggle("missing", status === 404);
}

function show(item) {
  open = item;
  viewer.className = item.kind;
  viewer.ariaLabel = `One ${item.kind}`;
  document.title = `${item.prompt.slice(0, 80)} · Rushes`;
  fill(byId("prompt"), item.prompt);
  play(item);
  facts(item);
  fill(byId("copied"));
  Object.assign(byId("download"), { href: item.url, download: item.id + item.url.slice(item.url.lastIndexOf(".")) });
  ends();
  lineage(byId("lineage"), item, () => open === item);
}

/** Whether there is a newer and an older one: told again once the wall behind it has been read. */
export async function ends() {
  const item = open;
  for (const by of [-1, 1]) {
    const next = item && await neighbour(item.id, by);
    if (open === item) byId(by < 0 ? "newer" : "older").disabled = !next;
  }
}

let moving = Promise.resolve();

/** On from what the address says, one after the other: whoever presses twice, quickly, comes two further. */
function step(by) {
  moving = moving.then(async () => {
    const from = view().item, next = from && await neighbour(from, by);
    if (next && view().item === from) go(address({ item: next.id }), { replace: true });
  }).catch(() => {});
}

const [film, picture] = stage.children;
/** The frame last drawn, and how long one lasts, as far as is known. */
let drawn = {}, frame = 0;

function play({ kind, prompt, url, previewImageUrl, width, height }) {
  stage.style.setProperty("--shape", `${width} / ${height}`);
  empty();
  if (kind === "image") Object.assign(picture, { src: url, alt: prompt });
  else Object.assign(film, { src: url, poster: previewImageUrl, ariaLabel: prompt, autoplay: !calm.matches });
  (kind === "image" ? byId("close") : film).focus();
}

function empty() {
  [drawn, frame] = [{}, 0];
  for (const media of stage.children) media.removeAttribute("src");
  // Or else it plays on.
  film.load();
}

/** A frame lasts as long as the shortest step between two: when there is much to do, players leave some out. */
function measure(now, { mediaTime: time, presentedFrames: count }) {
  const passed = time - drawn.time;
  if (!film.paused && count === drawn.count + 1 && passed > 0) frame = Math.min(frame || passed, passed);
  drawn = { time, count };
  byId("time").textContent = `${time.toFixed(2)} s`;
  film.requestVideoFrameCallback(measure);
}
film.requestVideoFrameCallback(measure);

/** One frame on or back, to the middle of it: its edges are where players disagree. */
function frames(by) {
  const now = film.paused ? film.currentTime : drawn.time ?? film.currentTime, long = frame || 1 / 30;
  film.pause();
  film.currentTime = Math.min((Math.floor(now / long + 0.1) + by + 0.5) * long, film.duration - long / 2 || 0);
}

function loop() { byId("loop").ariaPressed = film.loop = !film.loop; }

function faster(by) {
  (speed.options[speed.selectedIndex + by] ?? {}).selected = true;
  setSpeed();
}

function setSpeed() { film.playbackRate = film.defaultPlaybackRate = speed.value; }

/** What can be made of it: a button is named for an input, its value for the link that goes there. */
byId("acts").onclick = ({ target: { name, value, dataset: { kind } } }) => {
  if (name === undefined) return;
  const { firstFrameImageUrl, extendVideoUrl, referenceImageUrls, referenceImageUrl, ...same } = open;
  film.pause();
  openMake(name ? { ...same, [name]: open[value], ...kind && { kind, model: "" } } : open);
};

function facts(item) {
  const told = { ...item, size: `${item.width} × ${item.height}` };
  told.made = new Date(item.createdDate).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  told.links = inputs(item).map(([what, link]) => element("span", {}, `${what}: `, outward(link, link)));
  for (const fact of byId("facts").querySelectorAll("dd")) fill(fact, told[fact.className]);
}

byId("copies").onclick = async ({ target }) => {
  const { id, kind, [target.name]: text = `curl '${location.origin}${V1}${pathOf(id, kind)}' -H "Authorization: $KEY"` } = open;
  if (!target.name) return;
  await copy(text);
  target.focus();
  fill(byId("copied"), `${target.textContent} copied`);
};

/** Put text on the clipboard, also where the page is not served over TLS. */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = element("textarea", { value: text, className: "unseen" });
  viewer.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

// --- deleting: the call waits, so that it can be undone; leaving the page sends it ---

const waiting = new Set();

function remove() {
  // The one who presses twice deletes once.
  if (!asked) return;
  const item = { ...open };
  waiting.add(item);
  hidden.add(item.id);
  rehang();
  close();
  setTimeout(send, UNDO_SECONDS * 1000, item);
  toast(`Deleting this ${item.kind}.`, UNDO_SECONDS, button("Undo", () => {
    waiting.delete(item);
    hidden.delete(item.id);
    rehang();
    focusTile(item.id);
  }));
}

async function send(item) {
  if (!waiting.delete(item)) return;
  try {
    await api(pathOf(item.id, item.kind), { method: "DELETE" });
  } catch ({ status, message }) {
    if (status === 404) return;
    hidden.delete(item.id);
    rehang();
    toast(`It could not be deleted. ${message}`);
  }
}

/** Send what waits to be deleted: the page is being left, or its key forgotten. */
export const sendWaiting = () => Promise.all([...waiting].map(send));
addEventListener("pagehide", sendWaiting);

/** Whoever presses Escape twice goes back once. */
function close() {
  if (!asked) return;
  if (history.state?.opened) history.back(); else go(address({ item: "" }), { replace: true });
  asked = "";
}

viewer.oncancel = () => {
  close();
  return false;
};
viewer.onclose = () => {
  if (viewer.open) return;
  close();
  empty();
  document.title = "Rushes";
  if (open) focusTile(open.id);
  open = null;
};
follow(viewer, { replace: true });

const PRESSED = { newer: () => step(-1), older: () => step(1), close, back: () => frames(-1),
  forth: () => frames(1), loop, delete: remove };
viewer.onclick = ({ target }) => PRESSED[target.id]?.();
viewer.onkeydown = ({ key }) => faster({ "<": -1, ">": 1 }[key] ?? 0);
speed.onchange = setSpeed;
