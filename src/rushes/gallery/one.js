// One item: its player, its facts, where it comes from, and what can be made of it.

import { ApiError, key } from "./api.js";
import { byId, calm, copy, element, toast } from "./element.js";
import { itemOf } from "./library.js";
import { inputs, lineage } from "./lineage.js";
import { openMake } from "./make.js";
import { go, view } from "./view.js";
import { focusTile, hide, loaded, neighbour, unhide } from "./wall.js";

const UNDO_SECONDS = 10;
const V1 = "/pictoryapis/v1/aistudio";

const viewer = byId("one"), stage = byId("stage"), speed = byId("speed");
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

let open = null, asked = "", stop = new AbortController();

// --- opening ---

/** Show the item of that id, or none. Called whenever the address may have changed. */
export async function showOne(id) {
  if (!id) return void (viewer.open && viewer.close());
  if (asked === id) return;
  const signal = begin(id);
  if (!viewer.open) viewer.showModal();
  const known = loaded().find((item) => item.id === id);
  if (known) return show(known, signal);
  stage.replaceChildren();
  byId("close").focus();
  viewer.classList.add("bare");
  byId("prompt").textContent = "Loading…";
  try {
    show(await itemOf(id, signal), signal);
  } catch (error) {
    if (!signal.aborted) missing(id, error);
  }
}

function begin(id = "") {
  asked = id;
  stop.abort();
  stop = new AbortController();
  return stop.signal;
}

function missing(id, error) {
  asked = "";
  const gone = error.status === 404;
  byId("prompt").textContent = gone ? "There is no such item here: it was deleted, or belongs to another account." : error.message;
  if (!gone) byId("prompt").append(" ", element("button", { type: "button", textContent: "Try again", onclick: () => showOne(id) }));
}

function show(item, signal) {
  open = item;
  viewer.classList.remove("bare");
  viewer.classList.toggle("image", item.kind === "image");
  viewer.setAttribute("aria-label", item.kind === "image" ? "One image" : "One video");
  document.title = `${item.prompt.slice(0, 80)} · Rushes`;
  play(item);
  byId("prompt").textContent = item.prompt;
  acts(item);
  facts(item);
  copies(item);
  Object.assign(byId("download"), { href: item.url, download: `${item.id}${item.url.slice(item.url.lastIndexOf("."))}` });
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
    if (next && view().item === from) go({ item: next.id }, { replace: true, state: history.state });
  }).catch(() => {});
}

// --- the player ---

let frame = 1 / 30;

function play(item) {
  const media = item.kind === "image" ? element("img", { alt: item.prompt }) : element("video", {
    controls: true, loop: byId("loop").ariaPressed === "true", playsInline: true, autoplay: !calm.matches,
    poster: item.previewImageUrl, ariaLabel: item.prompt,
  });
  media.src = item.url;
  stage.style.setProperty("--shape", `${item.width} / ${item.height}`);
  stage.replaceChildren(media);
  if (item.kind === "image") return void byId("close").focus();
  media.onloadeddata = setSpeed;
  media.ontimeupdate = media.onseeked = () => clock(media);
  media.requestVideoFrameCallback?.(function measure(now, { mediaTime, presentedFrames }) {
    const { time, count } = media.last ?? {};
    if (presentedFrames === count + 1 && mediaTime > time && mediaTime - time < 0.2 && !media.paused) frame = mediaTime - time;
    media.last = { time: mediaTime, count: presentedFrames };
    clock(media);
    media.requestVideoFrameCallback(measure);
  });
  media.focus();
}

const clock = (media) => { byId("time").textContent = `${(media.last?.time ?? media.currentTime).toFixed(2)} s`; };

const video = () => stage.querySelector("video");

/** One frame on or back, to the middle of it: its edges are where players disagree. */
function frames(by) {
  const media = video();
  if (!media) return;
  media.pause();
  const at = Math.round((media.last?.time ?? media.currentTime) / frame) + by;
  media.currentTime = Math.min(Math.max(0, (at + 0.5) * frame), media.duration - frame / 2);
}

function loop() {
  const on = byId("loop").ariaPressed !== "true";
  byId("loop").ariaPressed = String(on);
  if (video()) video().loop = on;
}

function faster(by) {
  speed.selectedIndex = Math.min(speed.length - 1, Math.max(0, speed.selectedIndex + by));
  setSpeed();
}

function setSpeed() { if (video()) video().playbackRate = Number(speed.value); }

// --- what can be made of it ---

function acts(item) {
  const seconds = Number.parseFloat(item.duration);
  const same = { kind: item.kind, prompt: item.prompt, model: item.model, aspectRatio: item.aspectRatio };
  if (seconds) same.duration = `${Math.round(seconds)}s`;
  if (item.style) same.style = item.style;
  const { firstFrameImageUrl, extendVideoUrl, referenceImageUrls, referenceImageUrl } = item;
  const again = { ...same, firstFrameImageUrl, extendVideoUrl, referenceImageUrls, referenceImageUrl };
  const film = { kind: "video", prompt: item.prompt, aspectRatio: item.aspectRatio };
  const told = item.kind === "image" ? [
    ["Make a video of it", { ...film, firstFrameImageUrl: item.url }],
    ["Use as reference", { ...same, referenceImageUrl: item.url }],
    ["Again", again],
  ] : [
    ["Continue from last frame", { ...same, firstFrameImageUrl: item.lastFrameImageUrl }],
    ["Extend", { ...same, extendVideoUrl: item.url }],
    ["Use as reference", { ...same, referenceImageUrls: [item.previewImageUrl] }],
    ["Again", again],
  ];
  byId("acts").replaceChildren(...told.map(([name, prefill], index) => button(name, () => {
    video()?.pause();
    openMake(Object.fromEntries(Object.entries(prefill).filter(([, value]) => value !== undefined)));
  }, index ? "" : "main")));
}

const button = (textContent, onclick, className = "") => element("button", { type: "button", textContent, onclick, className });

// --- the facts ---

function facts(item) {
  const told = [
    ["Made", day.format(new Date(item.createdDate))], ["Model", item.model], ["Style", item.style],
    ["Length", item.duration], ["Size", `${item.width} × ${item.height}`], ["Shape", item.aspectRatio],
    ...inputs(item).map(([what, link]) => [what, anchor(link)]), ["Id", item.id],
  ];
  byId("facts").replaceChildren(...told.filter(([, value]) => value).flatMap(([name, value]) =>
    [element("dt", { textContent: name }), element("dd", {}, value)]));
}

/** A link as it was sent; only the web's own schemes can be followed. */
function anchor(link) {
  if (!/^https?:\/\//i.test(link)) return link;
  return element("a", { href: link, textContent: link, target: "_blank", rel: "noopener noreferrer" });
}

function copies(item) {
  const curl = `curl '${location.origin}${V1}/${item.kind}s/${encodeURIComponent(item.id)}' -H "Authorization: $KEY"`;
  const told = { Link: item.url, Prompt: item.prompt, Id: item.id, curl };
  byId("copies").replaceChildren("Copy", ...Object.entries(told).map(([name, text]) => {
    const made = button(name, async () => {
      await copy(text, viewer);
      made.textContent = "Copied";
      setTimeout(() => { made.textContent = name; }, 1500);
    });
    return made;
  }));
}

// --- deleting: the call waits, so that it can be undone; leaving the page sends it ---

const waiting = new Map();

function remove() {
  const item = open;
  hide(item.id);
  close();
  const timer = setTimeout(() => send(item), UNDO_SECONDS * 1000);
  toast(`Deleting this ${item.kind}.`, UNDO_SECONDS, "Undo", () => {
    clearTimeout(timer);
    waiting.delete(item.id);
    unhide(item.id);
    focusTile(item.id);
  });
  waiting.set(item.id, { item, timer });
}

async function send(item) {
  clearTimeout(waiting.get(item.id)?.timer);
  waiting.delete(item.id);
  const answer = await fetch(`${V1}/${item.kind}s/${encodeURIComponent(item.id)}`, {
    method: "DELETE", headers: { Authorization: key.get() ?? "" }, keepalive: true,
  }).catch(() => ({ status: 0 }));
  if (answer.ok || answer.status === 404) return;
  unhide(item.id);
  toast(`It could not be deleted. ${new ApiError(answer.status).message}`);
}

/** Send what waits to be deleted: the page is being left, or its key forgotten. */
export const sendWaiting = () => Promise.all([...waiting.values()].map(({ item }) => send(item)));
addEventListener("pagehide", sendWaiting);

// --- leaving and moving ---

function close() {
  if (history.state?.opened) history.back();
  else go({ item: "" }, { replace: true });
}

viewer.addEventListener("cancel", (event) => { event.preventDefault(); close(); });
viewer.addEventListener("close", () => {
  begin();
  stage.replaceChildren();
  const { id } = open ?? {};
  open = null;
  document.title = "Rushes";
  if (view().item) close();
  if (id) focusTile(id);
});
viewer.addEventListener("click", (event) => {
  const link = event.target.closest("a.step[href^='/']");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go({ item: new URL(link.href).searchParams.get("item") }, { replace: true, state: history.state });
});

const KEYS = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), ",": () => frames(-1), ".": () => frames(1),
  l: loop, "<": () => faster(-1), ">": () => faster(1) };
viewer.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("select")) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}, true);

byId("newer").addEventListener("click", () => step(-1));
byId("older").addEventListener("click", () => step(1));
byId("close").addEventListener("click", close);
byId("back").addEventListener("click", () => frames(-1));
byId("forth").addEventListener("click", () => frames(1));
byId("loop").addEventListener("click", loop);
speed.addEventListener("change", setSpeed);
byId("delete").addEventListener("click", remove);
