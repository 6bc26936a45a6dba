// One item: its player, its facts, where it comes from, and what can be made of it.

import { api, V1 } from "./api.js";
import { button, byId, calm, element, fill, toast } from "./element.js";
import { itemOf } from "./library.js";
import { inputs, lineage } from "./lineage.js";
import { openMake } from "./make.js";
import { address, follow, go, view } from "./view.js";
import { focusTile, hide, loaded, neighbour, unhide } from "./wall.js";

const UNDO_SECONDS = 10;

const viewer = byId("one"), stage = byId("stage"), speed = byId("speed");
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

let open = null, asked = "", stop = new AbortController();

// --- opening ---

/** Show the item of that id, or none. Called whenever the address may have changed. */
export async function showOne(id) {
  if (!id) return viewer.close();
  if (asked === id) return;
  const signal = begin(id), known = loaded().find((item) => item.id === id)?.told;
  if (!viewer.open) viewer.showModal();
  if (!known) wait();
  const item = known ?? await itemOf(id, signal).catch((error) => { if (!signal.aborted) missing(id, error); });
  if (item && !signal.aborted) show(item, signal);
}

function begin(id = "") {
  asked = id;
  stop.abort();
  stop = new AbortController();
  return stop.signal;
}

function wait() {
  viewer.className = "bare";
  fill(stage);
  fill(byId("prompt"), "Loading…");
  byId("close").focus();
}

function missing(id, error) {
  asked = "";
  fill(byId("prompt"), ...error.status === 404 ? ["There is no such item here: it was deleted, or belongs to another account."]
    : [error.message, " ", button("Try again", () => showOne(id))]);
}

function show(item, signal) {
  open = item;
  viewer.className = item.kind;
  viewer.ariaLabel = `One ${item.kind}`;
  document.title = `${item.prompt.slice(0, 80)} · Rushes`;
  fill(byId("prompt"), item.prompt);
  play(item);
  acts(item);
  facts(item);
  copies(item);
  ends();
  lineage(byId("lineage"), item, signal);
}

/** Whether there is a newer and an older one: told again once the wall behind it has been read. */
export async function ends() {
  const item = open;
  for (const [id, by] of [["newer", -1], ["older", 1]]) {
    const next = item && await neighbour(item.id, by);
    if (open === item) byId(id).disabled = !next;
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

// --- the player ---

const video = () => stage.querySelector("video");

function play({ kind, prompt, url, previewImageUrl, width, height }) {
  stage.style.setProperty("--shape", `${width} / ${height}`);
  if (kind === "image") {
    fill(stage, element("img", { alt: prompt, src: url }));
    return byId("close").focus();
  }
  const media = element("video", {
    src: url, poster: previewImageUrl, ariaLabel: prompt, controls: true, playsInline: true, autoplay: !calm.matches,
    loop: byId("loop").ariaPressed === "true", onloadeddata: setSpeed, ontimeupdate: clock, onseeked: clock, drawn: {},
  });
  media.requestVideoFrameCallback?.(measure);
  fill(stage, media);
  media.focus();

  /** A frame lasts as long as the shortest step between two: when there is much to do, players leave some out. */
  function measure(now, { mediaTime: time, presentedFrames: count }) {
    const passed = time - media.drawn.time;
    if (!media.paused && count === media.drawn.count + 1 && passed > 0) media.frame = Math.min(media.frame ?? 0.2, passed);
    media.drawn = { time, count };
    clock();
    media.requestVideoFrameCallback(measure);
  }
}

function clock() {
  const media = video();
  fill(byId("time"), media && `${(media.drawn.time ?? media.currentTime).toFixed(2)} s`);
}

/** One frame on or back, to the middle of it: its edges are where players disagree. */
function frames(by) {
  const media = video(), { frame = 1 / 30, drawn, paused, currentTime } = media;
  media.pause();
  const at = Math.floor((paused ? currentTime : drawn.time ?? currentTime) / frame + 0.1) + by;
  media.currentTime = Math.min(Math.max(0, (at + 0.5) * frame), media.duration - frame / 2);
}

function loop() {
  byId("loop").ariaPressed = video().loop = !video().loop;
}

function faster(by) {
  speed.selectedIndex = Math.min(speed.length - 1, Math.max(0, speed.selectedIndex + by));
  setSpeed();
}

function setSpeed() { if (video()) video().playbackRate = speed.value; }

// --- what can be made of it ---

function acts(item) {
  const { kind, prompt, aspectRatio, url, duration } = item;
  const again = { ...item, duration: duration && `${Math.round(Number.parseFloat(duration))}s` };
  const { firstFrameImageUrl, extendVideoUrl, referenceImageUrls, referenceImageUrl, ...same } = again;
  const told = kind === "image" ? {
    "Make a video of it": { kind: "video", prompt, aspectRatio, firstFrameImageUrl: url },
    "Use as reference": { ...same, referenceImageUrl: url },
  } : {
    "Continue from last frame": { ...same, firstFrameImageUrl: item.lastFrameImageUrl },
    Extend: { ...same, extendVideoUrl: url },
    "Use as reference": { ...same, referenceImageUrls: [item.previewImageUrl] },
  };
  fill(byId("acts"), Object.entries({ ...told, Again: again }).map(([name, prefill]) => button(name, () => {
    video()?.pause();
    openMake(prefill);
  })));
}

// --- the facts ---

function facts(item) {
  const told = [
    ["Made", day.format(new Date(item.createdDate))], ["Model", item.model], ["Style", item.style],
    ["Length", item.duration], ["Size", `${item.width} × ${item.height}`], ["Shape", item.aspectRatio],
    ...inputs(item).map(([what, link]) => [what, anchor(link)]), ["Id", item.id],
  ];
  fill(byId("facts"), told.map(([name, value]) => value && [element("dt", {}, name), element("dd", {}, value)]).flat());
}

/** A link as it was sent; only the web's own schemes can be followed. */
function anchor(link) {
  if (!/^https?:\/\//i.test(link)) return link;
  return element("a", { href: link, target: "_blank", rel: "noopener noreferrer" }, link);
}

function copies({ id, kind, url, prompt }) {
  const curl = `curl '${location.origin}${V1}/aistudio/${kind}s/${encodeURIComponent(id)}' -H "Authorization: $KEY"`;
  Object.assign(byId("download"), { href: url, download: id + url.slice(url.lastIndexOf(".")) });
  fill(byId("copies"), "Copy", Object.entries({ Link: url, Prompt: prompt, Id: id, curl }).map(([name, text]) => button(name, async ({ target }) => {
    await copy(text);
    target.focus();
    target.textContent = "Copied";
    setTimeout(() => { target.textContent = name; }, 1500);
  })));
}

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

const waiting = new Map();

function remove() {
  const item = open;
  hide(item.id);
  viewer.close();
  waiting.set(item, setTimeout(send, UNDO_SECONDS * 1000, item));
  toast(`Deleting this ${item.kind}.`, UNDO_SECONDS, button("Undo", () => {
    keep(item);
    unhide(item.id);
    focusTile(item.id);
  }));
}

function keep(item) {
  clearTimeout(waiting.get(item));
  waiting.delete(item);
}

async function send(item) {
  keep(item);
  try {
    await api(`/aistudio/${item.kind}s/${encodeURIComponent(item.id)}`, { method: "DELETE" });
  } catch ({ status, message }) {
    if (status === 404) return;
    unhide(item.id);
    toast(`It could not be deleted. ${message}`);
  }
}

/** Send what waits to be deleted: the page is being left, or its key forgotten. */
export const sendWaiting = () => Promise.all([...waiting.keys()].map(send));
addEventListener("pagehide", sendWaiting);

// --- leaving and moving ---

viewer.addEventListener("close", () => {
  if (viewer.open) return;
  const { id } = open ?? {};
  begin();
  open = null;
  fill(stage);
  document.title = "Rushes";
  if (view().item) history.state?.opened ? history.back() : go(address({ item: "" }), { replace: true });
  if (id) focusTile(id);
});
follow(viewer, { replace: true });

const PRESSED = { newer: () => step(-1), older: () => step(1), close: () => viewer.close(), back: () => frames(-1),
  forth: () => frames(1), loop, delete: remove };
for (const [id, act] of Object.entries(PRESSED)) byId(id).addEventListener("click", act);
viewer.addEventListener("keydown", ({ key }) => faster({ "<": -1, ">": 1 }[key] ?? 0));
speed.addEventListener("change", setSpeed);
