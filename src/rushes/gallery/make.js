// The form: what to make, of what, at what price; one POST a piece, and no piece is paid for twice.

import { api } from "./api.js";
import { drafts, keep } from "./drafts.js";
import { button, choices, complain, field, fill, h, made, model, now } from "./form.js";
import { drawInputs, INPUTS, inputs, inputsBody, linked, takeFiles } from "./inputs.js";

const PATIENCE_MS = 60_000, KINDS = ["video", "image"];
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 6 }).format;

let parts, left, sending = false;

/** Open the form, with what is given (a request and its `kind`) or the last draft. "rushes:submitted" tells the `jobIds`. */
export function openMake(prefill = {}) {
  if (!sending) show(Object.values(prefill).some(Boolean) ? filled(prefill) : drafts[0] ?? filled({}));
}

/** A form; its `video` and `image` are models, its `source` is what a video begins with. */
function filled({ model, ...asked }) {
  const form = { prompt: "", count: 1, inputs: {}, source: "", ...asked };
  form.prompt ??= "";
  form.kind ??= asked.style || asked.referenceImageUrl ? "image" : "video";
  form[form.kind] = model;
  for (const name in INPUTS) if (asked[name]?.length) {
    form.inputs[name] = [asked[name]].flat().map(linked);
    form.source = name;
  }
  return form;
}

const offers = ({ aspectRatios, durations, styles } = {}) =>
  Object.entries({ aspectRatio: aspectRatios, duration: durations, style: styles && ["", ...styles] }).filter(([, options]) => options);

/** What one model does not take is remembered for the next. */
const chosen = (name, options) => options.includes(now.form[name]) ? now.form[name] : options[0];

// --- what it looks like ---

function show(form) {
  now.dialog?.remove();
  Object.assign(now, { form, changed, dialog: build(form) });
  document.body.append(now.dialog);
  drawDrafts();
  draw();
  now.dialog.showModal();
  parts.prompt.focus();
  learn();
}

function build(form) {
  const prompt = h("textarea", {
    id: "make-prompt", rows: 5, placeholder: "What is to be seen? Light, place, movement, camera…",
    "aria-describedby": "make-count make-error-prompt", input: () => pick("prompt", prompt.value),
  }, form.prompt);
  parts = { prompt, count: h("span", { id: "make-count" }), cost: h("p", { id: "make-cost" }), go: button("", submit, { class: "go", "aria-describedby": "make-cost" }) };
  for (const name of ["kinds", "choose", "amount", "kept"]) parts[name] = h("div", { class: name });
  parts.top = h("div", { class: "top", role: "alert" });
  parts.body = h("div", { class: "body" },
    h("div", { class: "words" }, parts.kept, parts.top, field("prompt", h("label", { for: "make-prompt" }, "Prompt ", parts.count), prompt), inputs),
    h("div", { class: "side" }, parts.choose, parts.amount));
  const cancel = (event) => sending && event.preventDefault();
  return h("dialog", { class: "make", "aria-label": "Make", paste, dragover: drag, dragleave: drag, drop: drag, keydown, cancel },
    h("header", {}, h("h2", {}, "Make"), parts.kinds, button("×", () => now.dialog.close(), { class: "round", "aria-label": "Close" })),
    parts.body, h("footer", {}, parts.cost, parts.go));
}

function keydown(event) {
  event.stopPropagation();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); submit(); }
}

function paste(event) {
  const { files, types } = event.clipboardData;
  // A table or a page brings a picture of itself along: in a field its text is meant.
  if (!files.length || (types.includes("text/plain") && event.target.matches("textarea, input"))) return;
  event.preventDefault();
  takeFiles(files);
}

function drag(event) {
  const { files, types } = event.dataTransfer;
  if (!types.includes("Files")) return;
  event.preventDefault();
  now.dialog.classList.toggle("over", event.type === "dragover");
  if (event.type === "drop") takeFiles(files);
}

async function learn() {
  spend();
  try {
    now.models = (await api("/aistudio/models")).items;
    if (!model()) now.form.kind = KINDS.find((kind) => made(kind).length) ?? "video";
    draw();
  } catch (error) {
    tell(error);
    parts.top.append(" ", button("Try again", () => { fill(parts.top); learn(); }));
  }
}

function spend() {
  api("/quota").then(({ aiCredits }) => { left = aiCredits.limit - aiCredits.used; price(); }, () => {});
}

function draw() {
  const { form } = now, { kind } = form, it = model();
  fill(parts.kinds, choices("kind", "What to make", KINDS.map((value) => ({ value, disabled: now.models.length && !made(value).length })), kind,
    (kind) => { pick("kind", kind); draw(); now.dialog.querySelector(".kinds :checked").focus(); }));
  const models = made(kind).map(({ model, credits, creditsPerSecond }) =>
    ({ value: model, note: credits === undefined ? `${number(creditsPerSecond)} a second` : `${number(credits)} each` }));
  fill(parts.choose, now.models.length && field("model",
    choices("model", "Model", models, it?.model, (name) => { pick(kind, name); complain("model"); drawOffers(); }),
    it && form[kind] && form[kind] !== it.model && h("p", { class: "hint" }, `${form[kind]} is not made here.`)), h("div", {}));
  if (now.models.length && !it) complain("model", "This server makes nothing yet: its rushes.toml has no provider.");
  drawOffers();
  drawAmount();
}

function drawOffers() {
  const it = model(), legends = { aspectRatio: "Shape", duration: "Length", style: "Style" };
  fill(parts.choose.lastChild, offers(it).map(([name, options]) => field(name, choices(name, legends[name],
    options.map((value) => ({ value, label: value || "none", ...(name === "aspectRatio" && { note: it.sizes[value]?.join("×"), picture: shape(value) }) })),
    chosen(name, options), (value) => pick(name, value)))));
  drawInputs();
  price();
}

function shape(ratio) {
  const drawn = h("i", { class: "shape" });
  drawn.style.aspectRatio = ratio.replace(":", "/");
  return drawn;
}

function drawAmount() {
  const options = Array.from("12345678", (value) => ({ value }));
  fill(parts.amount, choices("count", "How many", options, `${now.form.count}`, (count) => pick("count", +count)));
}

function price() {
  const { kind, count, prompt } = now.form, it = model(), length = [...prompt].length;
  const cost = it && count * (it.credits ?? it.creditsPerSecond * parseInt(chosen("duration", it.durations)));
  parts.count.textContent = `${number(length)} / 5,000`;
  parts.count.className = length > 5000 ? "short" : "";
  parts.cost.className = left < cost ? "short" : "";
  fill(parts.cost, it && h("strong", {}, `${number(cost)} credit${cost === 1 ? "" : "s"}`),
    it && left !== undefined && ` ${left < cost ? "but only" : "of"} ${number(left)} left this month`);
  parts.go.disabled = !it;
  if (!sending) parts.go.textContent = `Make ${count > 1 ? `${count} ${kind}s` : `the ${kind}`}`;
}

function drawDrafts() {
  const restored = drafts.includes(now.form), others = drafts.filter((draft) => draft !== now.form);
  fill(parts.kept, restored && ["You began this before.", button("Start afresh", () => show(filled({})))], others.length && "Kept:",
    others.map((draft) => button(draft.prompt.trim().slice(0, 30) || "without words", () => show(draft))));
}

// --- what is done with it ---

function pick(name, value) {
  now.form[name] = value;
  complain(name);
  changed();
}

function changed() {
  keep(now.form);
  price();
}

async function submit() {
  if (sending || !model()) return;
  const { form, dialog } = now, jobIds = [];
  for (const error of dialog.querySelectorAll(".error")) complain(error.id.slice(11));
  fill(parts.top);
  busy("Uploading…");
  try {
    const given = await inputsBody();
    if (given) await send(form, { model: model().model, prompt: form.prompt, ...given, ...asked() }, jobIds);
    form.done = Boolean(given);
  } catch (error) {
    tell(error, jobIds.length);
  } finally {
    busy();
    keep(form);
  }
  if (form.done) dialog.close(); else stay(dialog);
  if (jobIds.length) document.dispatchEvent(new CustomEvent("rushes:submitted", { detail: { jobIds } }));
}

const asked = () => Object.fromEntries(offers(model()).map(([name, options]) => [name, chosen(name, options) || null]));

/** One POST a piece. Its key is kept until it is answered, so that whoever presses again asks for the same piece. */
async function send(form, body, jobIds) {
  const said = JSON.stringify(body), all = form.count;
  if (form.sent?.said !== said) form.sent = { said, keys: [] };
  const { keys } = form.sent;
  while (keys.length < all) keys.push(crypto.randomUUID());
  for (; form.count; form.count--) {
    busy(all > 1 ? `Sending ${all - form.count + 1} of ${all}…` : "Sending…");
    keep(form);
    const { data } = await api(`/aistudio/${form.kind}s`, { method: "POST", body, idempotencyKey: keys[0], signal: AbortSignal.timeout(PATIENCE_MS) });
    jobIds.push(data.jobId);
    keys.shift();
  }
}

function busy(words) {
  sending = Boolean(words);
  parts.body.inert = sending;
  if (words) parts.go.textContent = words; else price();
}

function stay(dialog) {
  if (!dialog.open) dialog.showModal();
  drawAmount();
  spend();
  const wrong = dialog.querySelector(".error:not(:empty)");
  (wrong?.parentElement.querySelector("textarea, input:checked, input, button") ?? parts.go).focus();
  (wrong ?? parts.top).scrollIntoView({ block: "nearest" });
}

/** The protocol's own words come without a code, and say nothing of what to do. */
const sentence = ({ status, code, message }) => code ? message
  : status === 401 ? "This key is not taken any more. What you typed is kept: sign in and go on."
  : `${message.replace(/\.?$/, ".")} Press again in a while: nothing is paid for twice.`;

/** Each complaint at its field, the rest at the top. */
function tell(error, taken = 0) {
  if (!error.fields) throw error;
  const fields = Object.entries(error.fields);
  fill(parts.top, [taken && `${taken} of ${taken + now.form.count} are under way.`, !fields.length && sentence(error),
    ...fields.map(([name, words]) => !complain(name, words) && `${name} ${words}.`)].filter(Boolean).join(" "));
}
