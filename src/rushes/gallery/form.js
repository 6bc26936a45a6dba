// What the form is built of.

/** What is open: the `form` as filled in, its `dialog`; the `models` of this server. */
export const now = { models: [] };

export const made = (kind) => now.models.filter((model) => model.kind === kind && model.configured);

/** The model asked for, or the first that takes what is there. */
export function model() {
  const { kind, source, [kind]: asked } = now.form, all = made(kind);
  return all.find(({ model }) => model === asked) ?? all.find(({ inputs }) => inputs.includes(source)) ?? all[0];
}

/** An element. Functions among the attributes listen; nothing and `false` are left out; text stays text. */
export function h(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value instanceof Function) element.addEventListener(key, value);
    else if (value || value === "") element.setAttribute(key, value === true ? "" : value);
  }
  fill(element, ...children);
  return element;
}

export const fill = (element, ...children) => element.replaceChildren(...children.flat().filter(Boolean));

export const button = (label, click, more) => h("button", { type: "button", click, ...more }, label);

/** Radio buttons as a row of chips; `options` are {value, label, note, picture, disabled}. */
export const choices = (name, legend, options, chosen, pick) => h("fieldset", { role: "radiogroup" }, h("legend", {}, legend),
  h("div", { class: "chips" }, options.map(({ value, label = value, note, picture, disabled }) => h("label", { class: "chip" },
    h("input", { type: "radio", name: `make-${name}`, value, disabled, checked: value === chosen, change: () => pick(value) }),
    picture, h("span", {}, label, note && h("small", {}, note))))));

/** A part of the form, by the API's name for it. */
export function field(name, ...content) {
  const id = `make-error-${name}`, place = h("div", { class: `field ${name}` }, content, h("p", { class: "error", id }));
  place.querySelector("fieldset")?.setAttribute("aria-describedby", id);
  return place;
}

/** Say what is wrong where it is wrong, or that nothing is; false where there is no such field. */
export function complain(name, words = "") {
  const place = now.dialog.querySelector(`.field.${CSS.escape(name)}`);
  if (!place) return false;
  const label = place.querySelector("legend, label[for]")?.firstChild.textContent.trim() ?? "It";
  place.lastChild.textContent = /^[a-z]/.test(words) ? `${label} ${words}.` : words;
  place.querySelector("textarea, fieldset, input")?.setAttribute("aria-invalid", Boolean(words));
  return true;
}
