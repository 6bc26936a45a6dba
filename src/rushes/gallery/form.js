// What the parts of the form share: what is filled in, its chips, its complaints.

import { byId, element, fill } from "./element.js";

export const dialog = byId("make-form"), fields = dialog.firstElementChild.elements;

/** The `form` as it is filled in, and the `models` of this server. */
export const now = { models: [] };

export const made = (kind) => now.models.filter((model) => model.kind === kind && model.configured);

/** The model asked for, or the first that takes what is there. */
export function model() {
  const { kind, source, [kind]: asked } = now.form, all = made(kind);
  return all.find(({ model }) => model === asked) ?? all.find(({ inputs }) => inputs.includes(source)) ?? all[0];
}

/** A part of the form, by the API's name for it. */
export const field = (name) => dialog.querySelector(`.field.${CSS.escape(name)}`);

/** Radio buttons as a row of chips; `options` are {value, label, note}. */
export function chips(name, options, chosen) {
  complain(name);
  fill(field(name).querySelector(".chips"), options.map(({ value, label = value, note }) => element("label", { className: "chip" },
    element("input", { type: "radio", name, value, checked: value === chosen }), element("i", { style: `aspect-ratio: ${value.replace(":", "/")}` }),
    element("span", {}, label, note && element("small", {}, note)))));
}

/** Say what is wrong where it is wrong, or that nothing is; false where there is no such field. */
export function complain(name, words = "") {
  const place = field(name);
  if (!place) return false;
  const label = place.querySelector("legend, label[for]")?.firstChild.textContent.trim() ?? "It";
  place.lastElementChild.textContent = /^[a-z]/.test(words) ? `${label} ${words}.` : words;
  place.querySelector("textarea, fieldset, [type=url]").ariaInvalid = Boolean(words);
  return true;
}
