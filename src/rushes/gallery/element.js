// Elements: text is always text.

export const byId = (id) => document.getElementById(id);

/** An element; among its children a string is text, and what says nothing is left out. */
export function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...given(children));
  return made;
}

export const fill = (element, ...children) => element.replaceChildren(...given(children));

const given = (children) => children.flat().filter(Boolean);

export const button = (label, onclick, properties) => element("button", { type: "button", onclick, ...properties }, label);

/** Check the one of a group of radio buttons; their group's own `value` cannot be set to "". */
export const check = (radios, value) => { for (const radio of radios) radio.checked = radio.value === `${value}`; };

/** Whether a key or a click is meant for the browser. */
export const modified = ({ altKey, ctrlKey, metaKey }) => altKey || ctrlKey || metaKey;

/** Whether a person asked their system for less motion. */
export const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** A sentence at the bottom of the page, and a button where something can be done about it. */
export function toast(sentence, seconds = 6, act) {
  const shown = element("div", { className: "toast" }, element("span", {}, sentence), act);
  act?.addEventListener("click", () => shown.remove());
  byId("toasts").append(shown);
  setTimeout(() => shown.remove(), seconds * 1000);
}
