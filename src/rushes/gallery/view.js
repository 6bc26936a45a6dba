// What is looked at, as the address says it, so that a view can be sent to someone.

import { modified } from "./element.js";

const NAMES = ["q", "kind", "model", "aspect", "when", "continues", "item"];
const DAY_MS = 86_400_000, DAYS = { day: 1, week: 7, month: 30, older: 30 };

export function view() {
  const told = new URLSearchParams(location.search);
  return Object.fromEntries(NAMES.map((name) => [name, told.get(name) ?? ""]));
}

/** The address of the view with these changes. */
export function address(changes) {
  const told = Object.entries({ ...view(), ...changes }).map(([name, value]) => [name, value.trim()]).filter(([, value]) => value);
  return told.length ? `/?${new URLSearchParams(told)}` : "/";
}

/** The address without what is open in it: another address, another wall. */
export const wallHere = () => address({ item: "" });

export const filtered = () => address({ item: "", kind: "" }) !== "/";

/** Look at something else. Where it is `opened`, going back closes it. */
export function go(to, { replace = false, opened = false } = {}) {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(history.state, "", to); else history.pushState({ opened }, "", to);
  // The browser tells nobody of these: they are heard of like a step back.
  dispatchEvent(new Event("popstate"));
}

/** Follow the links of ours within an element without leaving the page. */
export function follow(place, how) {
  place.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='/']");
    if (!link || event.shiftKey || modified(event)) return;
    event.preventDefault();
    go(link.pathname + link.search, how);
  });
}

export function filters() {
  const { q, model, aspect, when, continues } = view(), edge = DAYS[when] && new Date(Date.now() - DAYS[when] * DAY_MS).toISOString();
  return { q, model, continues, aspectRatio: aspect, [when === "older" ? "createdBefore" : "createdAfter"]: edge };
}
