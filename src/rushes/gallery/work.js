// What is under way and what it waits for; what failed within the hour.

import { api, key } from "./api.js";
import { button, fill, h } from "./form.js";
import { openMake } from "./make.js";

const UNDER_WAY = ["queued", "submitting", "waiting", "collecting"], DISMISSED = "rushes.dismissed";
const SOON_MS = 1000, LATER_MS = 10_000, HOUR_MS = 3_600_000, SURE_MS = 4000, MOST = 60, LOOKUPS = 10;

const list = h("ul", {}), told = h("p", { role: "status", class: "work-told" });
/** By id. A job that was only just sent is known by its id alone. */
const jobs = new Map(), cards = new Map();
let place, timer, refused, asking = false;

/** Show it in an element, hidden while there is nothing; once a page. */
export function mountWork(element) {
  place = element;
  element.classList.add("work");
  fill(element, list);
  element.after(told);
  document.addEventListener("visibilitychange", () => document.hidden || look());
  document.addEventListener("rushes:submitted", ({ detail }) => {
    for (const jobId of detail.jobIds) jobs.set(jobId, { jobId, state: "queued" });
    look();
  });
  setInterval(tick, 1000);
  look();
}

const underWay = (job) => UNDER_WAY.includes(job?.state);

async function look() {
  clearTimeout(timer);
  if (asking) return;
  asking = true;
  const mine = key.get();
  if (mine && mine !== refused) await ask().catch(({ status }) => { if (status === 401) refused = mine; });
  asking = false;
  draw();
  timer = setTimeout(look, mine === refused || (!document.hidden && [...jobs.values()].some(underWay)) ? SOON_MS : LATER_MS);
}

async function ask() {
  const pages = await Promise.all([...UNDER_WAY, "failed"].map((state) => api("/aistudio/jobs", { params: { state } })));
  const seen = new Map(pages.flatMap(({ items }) => items).map((job) => [job.jobId, job]));
  // What is on no page has ended, or moved between two of them.
  const gone = [...jobs.values()].filter((job) => underWay(job) && !seen.has(job.jobId)).slice(0, LOOKUPS);
  const found = await Promise.all(gone.map((job) => api(`/aistudio/jobs/${job.jobId}`).catch(({ status }) => ({ ...job, state: status === 404 ? "" : job.state }))));
  for (const job of [...seen.values(), ...found]) learn(job);
}

function learn(job) {
  const { jobId, state, prompt, itemId, kind } = job, before = jobs.get(jobId);
  const fresh = before || Date.now() - Date.parse(job.createdDate) < HOUR_MS;
  if (underWay(job) || (state === "failed" && fresh)) jobs.set(jobId, job); else jobs.delete(jobId);
  if (underWay(job) && prompt && !before?.prompt) say("Under way", prompt);
  if (underWay(job) || !underWay(before)) return;
  if (state === "failed") say("Failed", prompt);
  if (state !== "completed") return;
  say("Done", prompt);
  document.dispatchEvent(new CustomEvent("rushes:entered", { detail: { itemId, kind } }));
}

const say = (what, prompt) => { told.textContent = `${what}: ${prompt.slice(0, 200)}`; };

// --- what it looks like: a card a job, changed in place ---

function draw() {
  const away = dismissed(), focused = [...list.children].indexOf(document.activeElement.closest(".work li"));
  const drawn = [...jobs.values()].filter((job) => job.prompt && !away.includes(job.jobId))
    .sort((a, b) => underWay(b) - underWay(a) || b.createdDate.localeCompare(a.createdDate)).slice(0, MOST)
    .map((job) => {
      const old = cards.get(job.jobId), card = old?.className === kind(job) ? old : made(job);
      cards.set(job.jobId, card);
      card.change?.(job);
      return card;
    });
  for (const id of cards.keys()) if (!jobs.has(id)) cards.delete(id);
  if (drawn.some((card, at) => list.children[at] !== card) || drawn.length !== list.children.length) {
    fill(list, drawn);
    if (focused >= 0) (drawn[focused] ?? drawn.at(-1))?.querySelector("button").focus();
    else list.scrollLeft = 0;
  }
  place.hidden = !drawn.length;
  tick();
}

const kind = (job) => underWay(job) ? "going" : "failed";

function made(job) {
  const { prompt, model, request, error, createdDate } = job, { aspectRatio, duration, style } = request;
  const card = h("li", { class: kind(job) }, h("p", { class: "prompt", title: prompt }, prompt),
    h("p", { class: "about" }, [model, aspectRatio, duration, style].filter(Boolean).join(" · ")));
  if (error) {
    card.append(h("p", { class: "why" }, `${error.message} `, h("code", {}, error.code)), h("div", {},
      button("Try again", () => openMake({ kind: job.kind, ...request })), button("Dismiss", () => dismiss(job))));
    return card;
  }
  const waits = h("p", { class: "waits" }), bar = h("div", { role: "progressbar", "aria-label": `Progress of ${prompt}`, "aria-valuemax": 1 }, h("i", {}));
  card.append(waits, bar, h("div", {}, h("time", { datetime: createdDate, title: new Date(createdDate).toLocaleString() }), cancel(job, waits)));
  card.change = ({ waitingFor, progress }) => {
    waits.textContent = /^[A-Z]/.test(waitingFor) ? waitingFor : `Waiting for ${waitingFor}`;
    if (progress === null) return bar.removeAttribute("aria-valuenow");
    bar.setAttribute("aria-valuenow", progress);
    bar.firstChild.style.transform = `scaleX(${progress})`;
  };
  return card;
}

function cancel({ jobId }, waits) {
  let timer;
  const turn = (sure) => {
    clearTimeout(timer);
    it.className = sure ? "sure" : "";
    it.textContent = sure ? "Really cancel?" : "Cancel";
    if (sure) timer = setTimeout(turn, SURE_MS);
  };
  const it = button("Cancel", () => {
    const sure = Boolean(it.className);
    turn(!sure);
    if (sure) api(`/jobs/${jobId}/cancel`, { method: "POST" }).then(() => { jobs.delete(jobId); draw(); }, ({ message }) => { waits.textContent = message; });
  });
  return it;
}

const dismissed = () => JSON.parse(localStorage.getItem(DISMISSED)) ?? [];

function dismiss({ jobId }) {
  localStorage.setItem(DISMISSED, JSON.stringify([jobId, ...dismissed()].slice(0, 200)));
  draw();
}

function tick() {
  for (const time of list.querySelectorAll("time")) {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(time.dateTime)) / 1000));
    time.textContent = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
  }
}
