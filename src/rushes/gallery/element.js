// Elements made by hand: text is always text.

/** An element with properties and children; a string among the children is text. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

/** Whether a person asked their system for less motion. */
export const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** A sentence at the bottom of the page, with an act where there is one, for so long. Gives what takes it away. */
export function toast(sentence, seconds = 6, act = "", done = () => {}) {
  const shown = element("div", { className: "toast" }, element("span", { textContent: sentence }));
  const timer = setTimeout(() => shown.remove(), seconds * 1000);
  const away = () => { clearTimeout(timer); shown.remove(); };
  if (act) shown.append(element("button", { type: "button", textContent: act, onclick: () => { away(); done(); } }));
  byId("toasts").append(shown);
  return away;
}

/** Put text on the clipboard, also where the page is not served over TLS. */
export async function copy(text, within) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = element("textarea", { value: text, readOnly: true, className: "unseen" });
  within.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
