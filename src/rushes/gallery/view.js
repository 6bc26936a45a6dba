// What is looked at, as the address says it, so that a view can be sent to someone.

const NAMES = ["q", "kind", "model", "aspect", "when", "continues", "item"];
const DAY = 86_400_000;
const AFTER = { day: 1, week: 7, month: 30 };

export const view = () => read(new URLSearchParams(location.search));

const read = (told) => Object.fromEntries(NAMES.map((name) => [name, told.get(name) ?? ""]));

/** The address of the view with these changes. */
export function address(changes) {
  const told = Object.entries({ ...view(), ...changes }).filter(([, value]) => value);
  return told.length ? `/?${new URLSearchParams(told)}` : "/";
}

/** Look at something else. `state.opened` says that going back closes what was opened. */
export function go(changes, { replace = false, state = null } = {}) {
  const to = address(changes);
  if (to === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](state, "", to);
  tell();
}

/** Called whenever the view may be another. */
export const onView = new Set();
const tell = () => { for (const call of onView) call(view()); };
addEventListener("popstate", tell);

/** The view without what is open in it: another string, another wall. */
export const wallOf = ({ item, ...rest }) => JSON.stringify(rest);

/** Whether anything narrows the wall. */
export const filtered = ({ item, kind, ...rest }) => Object.values(rest).some(Boolean);

/** What the API calls the filters, as of now. */
export function filters({ q, model, aspect, when, continues }) {
  const ago = (days) => new Date(Date.now() - days * DAY).toISOString();
  return {
    q, model, continues, aspectRatio: aspect,
    createdAfter: AFTER[when] ? ago(AFTER[when]) : "",
    createdBefore: when === "older" ? ago(30) : "",
  };
}
