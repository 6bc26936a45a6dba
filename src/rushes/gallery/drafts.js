// What was typed and not sent: the last few forms, newest first, in this tab until they are sent.

const KEY = "rushes.drafts", MOST = 4;

export const drafts = JSON.parse(sessionStorage.getItem(KEY)) ?? [];

/** Keep a form as it stands; one that was sent, or holds nothing, is forgotten. */
export function keep(form) {
  const holds = !form.done && (form.prompt.trim() || form.link || Object.values(form.inputs).some((slots) => slots.length));
  const others = drafts.filter((draft) => draft !== form);
  drafts.splice(0, MOST, ...(holds ? [form] : []), ...others.slice(0, MOST - 1));
  // Where the store is full, the list still lives as long as the page.
  try { sessionStorage.setItem(KEY, JSON.stringify(drafts, plain)); } catch { /* as said */ }
}

/** Inputs as links: a file on its way cannot outlive the page. */
const plain = (key, value) => key === "preview" ? undefined
  : Array.isArray(value) && value !== drafts ? value.filter((each) => each.url || typeof each === "string") : value;
