// What a video begins with or a picture refers to: pasted, dropped, picked or linked.

import { upload } from "./api.js";
import { button, byId, check, element, fill } from "./element.js";
import { complain, dialog, fields, keep, model, now } from "./form.js";

const IMAGES = { types: "image/png,image/jpeg,image/webp", are: "a PNG, JPEG or WebP picture", most: 1 };
const VIDEOS = { types: "video/mp4,video/quicktime", are: "an MP4 or MOV video", most: 1 };

export const INPUTS = { firstFrameImageUrl: IMAGES, extendVideoUrl: VIDEOS, referenceImageUrls: { ...IMAGES, most: 3 }, referenceImageUrl: IMAGES };

const panel = dialog.querySelector(".inputs"), place = panel.querySelector(".field"), [list, ways] = place.firstElementChild.children;
const file = byId("make-file");

const takes = () => (model()?.inputs ?? []).filter((name) => INPUTS[name]);

/** The field in use: of a video only one can be. */
const used = () => takes().find((name) => now.form.kind === "image" || name === now.form.source);
const slots = () => now.form.inputs[used()] ?? [];
const fits = (name, { type }) => INPUTS[name]?.types.split(",").includes(type);

export const linked = (url) => ({ url, name: url.split(/[?#]/)[0].split("/").pop() || url });

/** What the request says, once all is uploaded; null when something is wrong. */
export async function inputsBody() {
  const name = used();
  if (!name) return {};
  if (!addLink()) return null;
  await Promise.all(slots().map(({ busy }) => busy));
  const urls = slots().map(({ url }) => url);
  if (!urls.every(Boolean)) return complain("link", "Not all was uploaded: try again, or remove it."), null;
  return { [name]: INPUTS[name].most > 1 && urls.length ? urls : urls[0] };
}

export function drawInputs() {
  const { kind, source, link = "" } = now.form, all = takes(), name = used();
  panel.hidden = !all.length;
  for (const { value, parentElement } of fields.source) parentElement.hidden = value && !all.includes(value);
  check(fields.source, name ?? "");
  panel.lastElementChild.hidden = name || !source || kind === "image";
  place.hidden = !name;
  if (!name) return;
  const { types, most } = INPUTS[name];
  place.className = `field link ${name}`;
  complain(name);
  for (const about of ways.querySelectorAll("p")) about.hidden = about.dataset.for !== name;
  Object.assign(file, { accept: types, multiple: most > 1 });
  fields.link.value = link;
  draw();
}

/** Files that do not fit choose what a video begins with. */
export function takeFiles([...files]) {
  const name = [used(), ...takes()].find((name) => fits(name, files[0])) ?? used();
  if (name !== used()) {
    now.form.source = name;
    drawInputs();
  }
  if (name) for (const file of files) {
    if (!fits(name, file)) complain("link", `“${file.name}” is not ${INPUTS[name].are}.`);
    else add({ name: file.name, file, preview: URL.createObjectURL(file) });
  }
}

function send(slot) {
  const { form } = now;
  slot.problem = "";
  slot.busy = upload(slot.file).then((url) => { slot.url = url; }, ({ message }) => { slot.problem = `It was not uploaded. ${message}`; }).finally(() => {
    slot.busy = null;
    keep(form);
    if (now.form === form) draw();
  });
}

/** Take the link that stands in its field; false where it is none, or one too many. */
function addLink() {
  const url = now.form.link?.trim();
  if (!url || !used()) return true;
  if (!/^https?:/.test(URL.parse(url)?.protocol)) return complain("link", "This is no link: one begins with https:// or http://."), false;
  now.form.link = fields.link.value = "";
  return add(linked(url));
}

function add(slot) {
  const { most } = INPUTS[used()], there = most > 1 ? slots() : [];
  if (there.length === most) return complain("link", `There can be ${most}; “${slot.name}” was left out.`), false;
  if (slot.file) send(slot);
  put([...there, slot]);
  return true;
}

function put(slots) {
  now.form.inputs[used()] = slots;
  complain("link");
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
    at > 0 && button("↑", () => put(slots().toSpliced(at - 1, 2, slot, slots()[at - 1])), { className: "round", ariaLabel: `Move ${name} up` }),
    button("×", () => put(slots().toSpliced(at, 1)), { className: "round", ariaLabel: `Remove ${name}` }));
}

/** What can be shown of an input: of other servers the page loads nothing, and shows their host. */
function picture({ url, preview }, types) {
  const src = preview ?? (url.startsWith(`${location.origin}/`) && url);
  if (!src) return element("i", {}, url.split("/")[2]);
  if (types === IMAGES.types) return element("img", { src, alt: "" });
  // What goes on from a video goes on from its end.
  return element("video", { src, preload: "metadata", onloadedmetadata: ({ target }) => { target.currentTime = target.duration - 0.05; } });
}

file.onchange = () => {
  takeFiles(file.files);
  // Or else the same file could not be chosen again.
  file.value = "";
};
dialog.onsubmit = () => {
  addLink();
  return false;
};
