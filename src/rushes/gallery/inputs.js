// What a video begins with or a picture refers to: pasted, dropped, picked or linked.

import { upload } from "./api.js";
import { keep } from "./drafts.js";
import { button, byId, check, element, fill } from "./element.js";
import { complain, dialog, fields, model, now } from "./form.js";

const IMAGES = { types: "image/png,image/jpeg,image/webp", are: "a PNG, JPEG or WebP picture" };
const VIDEOS = { types: "video/mp4,video/quicktime", are: "an MP4 or MOV video" };

export const INPUTS = {
  firstFrameImageUrl: { label: "First frame", does: "Opens with this picture.", most: 1, ...IMAGES },
  extendVideoUrl: { label: "Extend", does: "Goes on where this video ends.", most: 1, ...VIDEOS },
  referenceImageUrls: { label: "References", does: "Shows what is in these, in their order.", most: 3, ...IMAGES },
  referenceImageUrl: { label: "Reference", does: "Shows what is in this.", most: 1, ...IMAGES },
};

const [begin, one, place, hint] = dialog.querySelector(".inputs").children, [list, ways] = place.firstElementChild.children;
const file = byId("make-file");

const takes = () => (model()?.inputs ?? []).filter((name) => INPUTS[name]);

/** The field in use: of a video only one can be. */
const used = () => takes().find((name) => now.form.kind === "image" || name === now.form.source);
const slots = () => (now.form.inputs[used()] ??= []);
const fits = (name, { type }) => INPUTS[name]?.types.split(",").includes(type);

export const linked = (url) => ({ url, name: url.split(/[?#]/)[0].split("/").pop() || url });

/** What the request says, once all is uploaded; null when something is wrong. */
export async function inputsBody() {
  const name = used();
  if (!name) return {};
  if (!addLink()) return null;
  await Promise.all(slots().map(({ busy }) => busy));
  const urls = slots().map(({ url }) => url);
  if (!urls.every(Boolean)) return complain(name, "Not all was uploaded: try again, or remove it."), null;
  return { [name]: INPUTS[name].most > 1 && urls.length ? urls : urls[0] };
}

export function drawInputs() {
  const { kind, source, link = "" } = now.form, all = takes(), name = used(), image = kind === "image";
  [place.parentElement.hidden, begin.hidden, one.hidden, place.hidden] = [!all.length, image, !image, !name];
  for (const { value, parentElement } of fields.source) parentElement.hidden = value && !all.includes(value);
  check(fields.source, name ?? "");
  hint.textContent = all.length && source && !name && !image ? `${model().model} does not take “${INPUTS[source].label}”; it is kept.` : "";
  if (!name) return;
  const { types, most, does } = INPUTS[name], a = types === VIDEOS.types ? "a video" : most > 1 ? "pictures" : "a picture";
  place.className = `field link ${name}`;
  complain(name);
  ways.firstElementChild.textContent = `${does} Paste or drop ${a} here, or`;
  Object.assign(file, { accept: types, multiple: most > 1 });
  Object.assign(fields.link, { value: link, ariaLabel: `Link to ${a}` });
  draw();
}

/** Files that do not fit choose what a video begins with. */
export function takeFiles([...files]) {
  const better = takes().find((name) => fits(name, files[0]));
  if (better && !fits(used(), files[0])) {
    now.form.source = better;
    drawInputs();
  }
  const name = used();
  if (name) for (const file of files) {
    if (!fits(name, file)) complain(name, `“${file.name}” is not ${INPUTS[name].are}.`);
    else add({ name: file.name, file, preview: URL.createObjectURL(file) });
  }
}

function send(slot) {
  const { form } = now;
  slot.problem = "";
  slot.busy = upload(slot.file).then((url) => { slot.url = url; }, ({ status, message }) => {
    slot.problem = status === 413 ? "It is larger than this server takes." : `It was not uploaded. ${message}`;
  }).finally(() => {
    slot.busy = null;
    keep(form);
    if (now.form === form) draw();
  });
}

/** Take the link that stands in its field; false where it is none, or one too many. */
export function addLink() {
  const url = now.form.link?.trim();
  if (!url || !used()) return true;
  if (!/^https?:/.test(URL.parse(url)?.protocol)) return complain(used(), "This is no link: one begins with https:// or http://."), false;
  now.form.link = fields.link.value = "";
  return add(linked(url));
}

function add(slot) {
  const name = used(), { most } = INPUTS[name], there = slots();
  complain(name);
  if (most === 1) there.pop();
  if (there.length === most) return complain(name, `There can be ${most}; “${slot.name}” was left out.`), false;
  there.push(slot);
  if (slot.file) send(slot);
  change();
  return true;
}

function remove(slot) {
  slots().splice(slots().indexOf(slot), 1);
  complain(used());
  change();
}

function sooner(slot) {
  const at = slots().indexOf(slot);
  slots().splice(at - 1, 2, slot, slots()[at - 1]);
  change();
}

function change() {
  keep(now.form);
  draw();
}

/** The focus stays where it was, as far as that is still there. */
function draw() {
  if (!used()) return;
  const held = place.contains(document.activeElement) && document.activeElement;
  fill(list, slots().map(card));
  ways.hidden = slots().length >= INPUTS[used()].most;
  const stops = [...place.querySelectorAll("input, button")].filter((stop) => stop.checkVisibility());
  if (held && !stops.includes(held)) (stops.find(({ ariaLabel }) => ariaLabel === held.ariaLabel) ?? stops[0]).focus();
}

function card(slot, at) {
  const { name, busy, problem } = slot, { most, types } = INPUTS[used()];
  return element("li", { className: busy ? "busy" : problem ? "bad" : "" }, picture(slot, types), most > 1 && element("b", {}, `${at + 1}`),
    element("span", {}, busy ? `Uploading ${name}…` : problem || name),
    problem && button("Try again", () => { send(slot); draw(); }),
    at > 0 && button("↑", () => sooner(slot), { className: "round", ariaLabel: `Move ${name} up` }),
    button("×", () => remove(slot), { className: "round", ariaLabel: `Remove ${name}` }));
}

/** What can be shown of an input: of other servers the page loads nothing, and shows their host. */
function picture({ url, preview }, types) {
  const src = preview ?? (url.startsWith(`${location.origin}/`) && url);
  if (!src) return element("i", {}, url.split("/")[2]);
  if (types === IMAGES.types) return element("img", { src, alt: "" });
  // What goes on from a video goes on from its end.
  return element("video", { src, preload: "metadata", onloadedmetadata: ({ target }) => { target.currentTime = target.duration - 0.05; } });
}

file.addEventListener("change", () => takeFiles(file.files));
dialog.addEventListener("submit", (event) => {
  event.preventDefault();
  addLink();
});
