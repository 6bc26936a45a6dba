// What is under way and what it waits for; what failed within the hour.

import { api } from "./api.js";
import { byId, fill, toast } from "./element.js";
import { openMake } from "./make.js";

const UNDER_WAY = ["queued", "submitting", "waiting", "collecting"], ENDED = { failed: "Failed", completed: "Done" };
const DISMISSED = "rushes.dismissed";
const SOON_MS = 1000, LATER_MS = 10_000, HOUR_MS = 3_600_000, SURE_MS = 4000, MOST = 60;

const place = byId("work"), list = place.firstElementChild;
/** By id. A job that was only just sent is known by its id alone. */
const jobs = new Map(), cards = new Map();
let timer;

const underWay = (job) => UNDER_WAY.includes(job?.state);

async function look() {
  const refused = byId("sign-in").open;
  if (!refused) await ask().catch(() => {});
  draw();
  clearTimeout(timer);
  timer = setTimeout(look, refused || (!document.hidden && [...jobs.values()].some(underWay)) ? SOON_MS : LATER_MS);
}

async function ask() {
  const pages = await Promise.all([...UNDER_WAY, "failed"].map((state) => api("/aistudio/jobs", { params: { state } })));
  const seen = new Map(pages.flatMap(({ items }) => items).map((job) => [job.jobId, job]));
  // What is on no page has ended, or moved between two of them.
  const gone = [...jobs.values()].filter((job) => underWay(job) && !seen.has(job.jobId));
  const found = await Promise.all(gone.map((job) => api(`/aistudio/jobs/${job.jobId}`).catch(({ status }) => status === 404 ? { ...job, state: "" } : job)));
  for (const job of [...seen.values(), ...found]) learn(job);
}

function learn(job) {
  const { jobId, state, prompt, itemId } = job, before = jobs.get(jobId), going = underWay(job);
  const fresh = before || Date.now() - Date.parse(job.createdDate) < HOUR_MS;
  if (going || (state === "failed" && fresh)) jobs.set(jobId, job); else jobs.delete(jobId);
  const word = going ? !before?.prompt && "Under way" : underWay(before) && ENDED[state];
  if (word && prompt) byId("work-told").textContent = `${word}: ${prompt.slice(0, 200)}`;
  if (word === ENDED.completed) document.dispatchEvent(new CustomEvent("rushes:entered", { detail: { itemId } }));
}

// --- what it looks like: a card a job, changed in place ---

function draw() {
  const away = dismissed(), held = document.activeElement, at = [...list.children].indexOf(held.closest("#work li"));
  const shown = [...jobs.values()].filter((job) => job.prompt && !away.includes(job.jobId))
    .sort((a, b) => underWay(b) - underWay(a) || b.createdDate.localeCompare(a.createdDate)).slice(0, MOST).map(card);
  for (const id of cards.keys()) if (!jobs.has(id)) cards.delete(id);
  if (shown.length === list.children.length && shown.every((card, index) => card === list.children[index])) return;
  fill(list, shown);
  if (at < 0) list.scrollLeft = 0;
  else [held, ...(shown[at] ?? shown.at(-1) ?? place).querySelectorAll("button")].find((stop) => stop.checkVisibility())?.focus();
}

function card(job) {
  const { jobId, prompt, model, request: { aspectRatio, duration, style }, error, waitingFor, progress, createdDate } = job;
  const it = cards.get(jobId) ?? byId("job").content.firstElementChild.cloneNode(true);
  cards.set(jobId, it);
  Object.assign(it, { jobId, className: underWay(job) ? "going" : "failed" });
  const words = {
    ".prompt": prompt, ".about": [model, aspectRatio, duration, style].filter(Boolean).join(" · "), time: since(createdDate),
    ".waits": /^[A-Z]/.test(waitingFor) ? waitingFor : `Waiting for ${waitingFor}`, ".why span": error?.message, code: error?.code,
  };
  for (const [part, text = ""] of Object.entries(words)) {
    const place = it.querySelector(part);
    // What somebody selects to copy it stays selected.
    if (place.textContent !== text) place.textContent = text;
  }
  it.querySelector(".prompt").title = prompt;
  Object.assign(it.querySelector("[role=progressbar]"), { ariaLabel: `Progress of ${prompt}`, ariaValueNow: progress });
  it.querySelector("i").style.transform = `scaleX(${progress})`;
  return it;
}

function since(date) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(date)) / 1000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
}

const PRESSED = { cancel, dismiss, again: ({ kind, request }) => openMake({ kind, ...request }) };

list.onclick = ({ target }) => PRESSED[target.name]?.(jobs.get(target.closest("li").jobId), target);

function cancel({ jobId }, pressed) {
  const sure = pressed.className === "sure";
  doubt(pressed, !sure);
  if (!sure) return setTimeout(doubt, SURE_MS, pressed);
  api(`/jobs/${jobId}/cancel`, { method: "POST" }).then(() => { jobs.delete(jobId); draw(); }, ({ message }) => toast(message));
}

function doubt(pressed, asks = false) {
  pressed.className = asks ? "sure" : "";
  pressed.textContent = asks ? "Really cancel?" : "Cancel";
}

const dismissed = () => localStorage[DISMISSED] ?? "";

function dismiss({ jobId }) {
  localStorage[DISMISSED] = jobId + dismissed();
  draw();
}

document.addEventListener("visibilitychange", () => document.hidden || look());
document.addEventListener("rushes:submitted", ({ detail }) => {
  for (const jobId of detail.jobIds) jobs.set(jobId, { jobId, state: "queued" });
  look();
});
setInterval(draw, 1000);
look();
