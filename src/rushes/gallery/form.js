// What the parts of the form share: what is filled in and what is kept, its chips, its complaints.

import { byId, check, element, fill } from "./element.js";

const DRAFTS = "rushes.drafts", MOST = 4;

export const dialog = byId("make-form"), fields = dialog.firstElementChild.elements;

/** The `form` as it is filled in, and the `models` of this server. */
export const now = { models: [] };

/** What was typed and not sent: the last few forms, newest first, in this tab until they are sent. */
export const drafts = JSON.parse(sessionStorage.getItem(DRAFTS)) ?? [];

/** Keep a form as it stands; one that was sent, or holds nothing, is forgotten. */
export function keep(form) {
  const holds = !form.done && (form.prompt.trim() || form.link || Object.values(form.inputs).some((slots) => slots.length));
  drafts.splice(0, MOST, ...[holds && form, ...drafts.filter((draft) => draft !== form)].filter(Boolean).slice(0, MOST));
  // Where the store is full, the list still lives as long as the page.
  try { sessionStorage.setItem(DRAFTS, JSON.stringify(drafts, plain)); } catch { /* as said */ }
}

/** Inputs as links: a file on its way cannot outlive the page. */
const plain = (key, value) => key === "preview" ? undefined
  : Array.isArray(value) && value !== drafts ? value.filter((each) => each.url || typeof each === "string") : value;

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
  const place = field(name).querySelector(".chips"), drawn = JSON.stringify(options);
  complain(name);
  // The same ones stay: one of them may have the focus.
  if (place.drawn !== drawn) fill(place, options.map(({ value, label = value, note }) => element("label", { className: "chip" },
    element("input", { type: "radio", name, value }), element("i", { style: `aspect-ratio: ${value.replace(":", "/")}` }),
    element("span", {}, label, note && element("small", {}, note)))));
  place.drawn = drawn;
  check(place.querySelectorAll("input"), chosen);
}

/** Say what is wrong where it is wrong, or that nothing is; false where there is no such field. */
export function complain(name, words = "") {
  const place = field(name);
  if (!place) return false;
  place.lastElementChild.textContent = /^[a-z]/.test(words) ? `${place.dataset.label} ${words}.` : words;
  place.querySelector("textarea, fieldset, [type=url]").ariaInvalid = Boolean(words);
  return true;
}
