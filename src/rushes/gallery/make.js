// The form: what to make, of what, at what price; one POST a piece, and no piece is paid for twice.

import { api } from "./api.js";
import { button, byId, check, element, fill } from "./element.js";
import { chips, complain, dialog, drafts, fields, keep, made, model, now } from "./form.js";
import { drawInputs, INPUTS, inputsBody, linked, takeFiles } from "./inputs.js";

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 6 }).format;
const body = dialog.querySelector(".body"), top = byId("make-top"), cost = byId("make-cost"), pay = byId("make-go");

let left, sending = false;

/** Open the form, with what is given (a request and its `kind`) or the last draft. "rushes:submitted" tells the `jobIds`. */
export function openMake(prefill) {
  if (!sending) show(prefill ? filled(prefill) : drafts[0] ?? filled({}));
}

/** A form; its `video` and `image` are models, its `source` is what a video begins with. */
function filled({ kind = "video", prompt = "", model, aspectRatio, duration, style, ...asked }) {
  const form = { kind, prompt, aspectRatio, style, [kind]: model, count: 1, inputs: {}, source: "" };
  // How long a video came out is told to the tenth.
  if (duration) form.duration = `${Math.round(parseFloat(duration))}s`;
  for (const name in INPUTS) if (asked[name]?.length) {
    form.inputs[name] = [asked[name]].flat().map(linked);
    form.source = name;
  }
  return form;
}

const offers = ({ aspectRatios = [], durations = [], styles } = {}) =>
  Object.entries({ aspectRatio: aspectRatios, duration: durations, style: styles ? ["", ...styles] : [] });

/** What one model does not take is remembered for the next. */
const chosen = (name, options) => options.includes(now.form[name]) ? now.form[name] : options[0];

function show(form) {
  now.form = form;
  fields.prompt.value = form.prompt;
  forgive();
  drawDrafts();
  draw();
  dialog.showModal();
  fields.prompt.focus();
  learn();
}

function forgive() {
  fill(top);
  for (const { classList } of dialog.querySelectorAll(".field")) complain(classList[1]);
}

async function learn() {
  spend();
  try {
    now.models = (await api("/aistudio/models")).items;
    if (!model()) now.form.kind = made("video").length ? "video" : "image";
    draw();
  } catch (error) {
    tell(error);
    top.append(" ", button("Try again", () => { fill(top); learn(); }));
  }
}

function spend() {
  api("/quota").then(({ aiCredits }) => { left = aiCredits.limit - aiCredits.used; price(); }, () => {});
}

function draw() {
  const { kind, count, [kind]: asked } = now.form, it = model(), known = now.models.length > 0;
  for (const radio of fields.kind) radio.disabled = known && !made(radio.value).length;
  check(fields.kind, kind);
  check(fields.count, count);
  chips("model", made(kind).map(({ model, credits, creditsPerSecond }) =>
    ({ value: model, note: credits === undefined ? `${number(creditsPerSecond)} a second` : `${number(credits)} each` })), it?.model);
  byId("make-other").textContent = it && asked && asked !== it.model ? `${asked} is not made here.` : "";
  if (known && !it) complain("model", "This server makes nothing yet: its rushes.toml has no provider.");
  drawOffers();
}

function drawOffers() {
  const it = model();
  for (const [name, options] of offers(it)) {
    chips(name, options.map((value) => ({ value, label: value || "none", note: it.sizes[value]?.join("×") })), chosen(name, options));
  }
  drawInputs();
  price();
}

function price() {
  const { kind, count, prompt } = now.form, it = model(), length = [...prompt].length;
  const all = it && count * (it.credits ?? it.creditsPerSecond * parseInt(chosen("duration", it.durations)));
  Object.assign(byId("make-count"), { textContent: `${number(length)} / 5,000`, className: length > 5000 ? "short" : "" });
  cost.className = left < all ? "short" : "";
  fill(cost, it && element("strong", {}, `${number(all)} credit${all === 1 ? "" : "s"}`),
    it && left !== undefined && ` ${left < all ? "but only" : "of"} ${number(left)} left this month`);
  pay.disabled = !it;
  if (!sending) pay.textContent = `Make ${count > 1 ? `${count} ${kind}s` : `the ${kind}`}`;
}

function drawDrafts() {
  const restored = drafts.includes(now.form), others = drafts.filter((draft) => draft !== now.form);
  fill(byId("make-kept"), restored && ["You began this before.", button("Start afresh", () => show(filled({})))], others.length && "Kept:",
    others.map((draft) => button(draft.prompt.trim().slice(0, 30) || "without words", () => show(draft))));
}

const REDRAWN = { kind: draw, model: drawOffers, source: drawInputs };

dialog.oninput = ({ target: { name, value } }) => {
  if (!name) return;
  now.form[name === "model" ? now.form.kind : name] = name === "count" ? Number(value) : value;
  complain(name);
  REDRAWN[name]?.();
  keep(now.form);
  price();
};

dialog.onkeydown = (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  submit();
};

dialog.onpaste = (event) => {
  const { files, types } = event.clipboardData;
  // A table or a page brings a picture of itself along: in a field its text is meant.
  if (!files.length || (types.includes("text/plain") && event.target.matches("textarea, input"))) return;
  event.preventDefault();
  takeFiles(files);
};

dialog.ondragover = dialog.ondragleave = dialog.ondrop = (event) => {
  const { type, dataTransfer: { files, types } } = event;
  if (!types.includes("Files")) return;
  event.preventDefault();
  dialog.classList.toggle("over", type === "dragover");
  if (type === "drop") takeFiles(files);
};

dialog.oncancel = () => !sending;
byId("make-close").onclick = () => dialog.close();
pay.onclick = submit;

async function submit() {
  if (sending || !model()) return;
  const { form } = now, jobIds = [];
  forgive();
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
  if (form.done) dialog.close(); else stay();
  if (jobIds.length) document.dispatchEvent(new CustomEvent("rushes:submitted", { detail: { jobIds } }));
}

const asked = () => Object.fromEntries(offers(model()).map(([name, options]) => [name, chosen(name, options) || undefined]));

/** What tells one POST from another. `randomUUID` would be there over TLS alone. */
const once = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

/** One POST a piece. Its key is kept until it is answered, so that whoever presses again asks for the same piece. */
async function send(form, body, jobIds) {
  const said = JSON.stringify(body), all = form.count;
  if (form.sent?.said !== said) form.sent = { said, keys: [] };
  const { keys } = form.sent;
  while (keys.length < all) keys.push(once());
  for (; form.count; form.count--) {
    busy(`Sending ${all - form.count + 1} of ${all}…`);
    keep(form);
    const { data } = await api(`/aistudio/${form.kind}s`, { method: "POST", body, idempotencyKey: keys[0] });
    jobIds.push(data.jobId);
    keys.shift();
  }
}

function busy(words) {
  sending = body.inert = Boolean(words);
  if (words) pay.textContent = words; else price();
}

function stay() {
  dialog.showModal();
  check(fields.count, now.form.count);
  spend();
  const wrong = dialog.querySelector(".error:not(:empty)");
  (wrong?.parentElement.querySelector("textarea, input:checked, input, button") ?? pay).focus();
  (wrong ?? top).scrollIntoView({ block: "nearest" });
}

/** The protocol's own words come without a code, and say nothing of what to do. */
const sentence = ({ status, code, message }) => code ? message
  : status === 401 ? "This key is not taken any more. What you typed is kept: sign in and go on."
  : `${message.replace(/\.?$/, ".")} Press again in a while: nothing is paid for twice.`;

/** Each complaint at its field, the rest at the top. */
function tell(error, taken = 0) {
  if (!error.fields) throw error;
  const wrong = Object.entries(error.fields);
  fill(top, [taken && `${taken} of ${taken + now.form.count} are under way.`, !wrong.length && sentence(error),
    ...wrong.map(([name, words]) => !complain(name, words) && `${name} ${words}.`)].filter(Boolean).join(" "));
}
