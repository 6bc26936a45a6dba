// What a video begins with or a picture refers to: pasted, dropped, picked or linked.

import { upload } from "./api.js";
import { keep } from "./drafts.js";
import { button, choices, complain, field, fill, h, model, now } from "./form.js";

const IMAGES = { types: "image/png,image/jpeg,image/webp", are: "a PNG, JPEG or WebP picture" };
const VIDEOS = { types: "video/mp4,video/quicktime", are: "an MP4 or MOV video" };

export const INPUTS = {
  firstFrameImageUrl: { label: "First frame", does: "Opens with this picture.", most: 1, ...IMAGES },
  extendVideoUrl: { label: "Extend", does: "Goes on where this video ends.", most: 1, ...VIDEOS },
  referenceImageUrls: { label: "References", does: "Shows what is in these, in their order.", most: 3, ...IMAGES },
  referenceImageUrl: { label: "Reference", does: "Shows what is in this.", most: 1, ...IMAGES },
};

const zone = h("div", { class: "zone" });
export const inputs = h("div", { class: "inputs" });

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
  const { form } = now, { kind, source } = form, all = takes(), name = used();
  const options = [{ value: "", label: "Words" }, ...all.map((value) => ({ value, label: INPUTS[value].label }))];
  inputs.hidden = !all.length;
  fill(inputs,
    kind === "video" ? choices("source", "Begin with", options, name ?? "", (name) => { form.source = name; place(); now.changed(); })
      : h("p", { class: "legend" }, "Reference"),
    h("div", {}),
    kind === "video" && source && !name && all.length && h("p", { class: "hint" }, `${model().model} does not take “${INPUTS[source].label}”; it is kept.`));
  place();
}

function place() {
  const name = used();
  fill(inputs.children[1], name && field(name, zone));
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
    if (now.form === form) { draw(); now.changed(); } else keep(form);
  });
}

function addLink() {
  const url = now.form.link?.trim();
  if (!url) return true;
  if (!URL.canParse(url) || !/^https?:/.test(url)) return complain(used(), "This is no link: one begins with https:// or http://."), false;
  now.form.link = "";
  return add(linked(url));
}

function add(slot) {
  const name = used(), { most } = INPUTS[name], there = slots();
  complain(name);
  if (most === 1) there.pop();
  if (there.length === most) return complain(name, `There can be ${most}; “${slot.name}” was left out.`), false;
  there.push(slot);
  if (slot.file) send(slot);
  draw();
  now.changed();
  return true;
}

function remove(slot) {
  slots().splice(slots().indexOf(slot), 1);
  complain(used());
  draw();
  now.changed();
}

/** The focus stays where it was, as far as that is still there. */
function draw() {
  const name = used(), active = zone.contains(document.activeElement) && document.activeElement.ariaLabel;
  if (!name) return;
  fill(zone, h("ol", {}, slots().map(card)), slots().length < INPUTS[name].most && ways(name));
  const stops = [...zone.querySelectorAll("input, button")];
  if (active !== false) (stops.find((stop) => stop.ariaLabel === active) ?? stops[0]).focus();
}

function ways(name) {
  const { types, most, does } = INPUTS[name], a = types === VIDEOS.types ? "a video" : most > 1 ? "pictures" : "a picture";
  const about = { "aria-describedby": `make-error-${name}` };
  const file = h("input", { type: "file", accept: types, multiple: most > 1, "aria-label": "Choose a file", ...about, change: () => takeFiles(file.files) });
  const link = h("input", {
    type: "url", value: now.form.link, placeholder: "or a link", "aria-label": `Link to ${a}`, ...about,
    input: () => { now.form.link = link.value; complain(name); now.changed(); },
    // Or else the same press presses the button that the focus goes to.
    keydown: (event) => { if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) { event.preventDefault(); addLink(); } },
  });
  return h("div", { class: "ways" }, h("p", {}, `${does} Paste or drop ${a} here, or`),
    h("label", { class: "button" }, "Choose a file", file), link, button("Add", addLink, { "aria-label": "Add the link" }));
}

function card(slot, at) {
  const { name, busy, problem } = slot, { most, types } = INPUTS[used()];
  return h("li", { class: busy ? "busy" : problem && "bad" }, picture(slot, types), most > 1 && h("b", {}, `${at + 1}`),
    h("span", {}, busy ? `Uploading ${name}…` : problem || name),
    problem && button("Try again", () => { send(slot); draw(); }), button("×", () => remove(slot), { class: "round", "aria-label": `Remove ${name}` }));
}

/** What can be shown of an input: of other servers the page loads nothing, and shows their host. */
function picture({ url, preview }, types) {
  const src = preview ?? (url.startsWith(`${location.origin}/`) && url);
  if (!src) return h("i", {}, url.split("/")[2]);
  if (types === IMAGES.types) return h("img", { src, alt: "" });
  // What goes on from a video goes on from its end.
  return h("video", { src, preload: "metadata", loadedmetadata: ({ target }) => { target.currentTime = target.duration - 0.05; } });
}
