// The gallery: signing in, what the address says, the filters, and the keys of the keyboard.

import { api, key, onUnauthorized } from "./api.js";
import { byId, element, toast } from "./element.js";
import { filtered, go, onView, view, wallOf } from "./view.js";
import { focusTile, loaded, lookAgain, showWall } from "./wall.js";

const LOOK_MS = 4000, TYPING_MS = 250;
const signIn = byId("sign-in"), search = byId("search"), filters = byId("filters"), keys = byId("keys");

let wall = "", mounted = false;

// What the first picture need not wait for comes after it, or when it is asked for.
const openMake = () => import("./make.js").then((make) => make.openMake(), away);
const one = () => import("./one.js");
const away = () => toast("The server cannot be reached.");

// --- what the address says ---

function look(looked = view()) {
  if (!key.get()) return;
  if (document.activeElement !== search || search.value.trim() !== looked.q) search.value = looked.q;
  for (const name of ["kind", "model", "aspect", "when"]) choose(filters.elements[name], looked[name]);
  byId("clear").hidden = !filtered(looked) && !looked.kind;
  if (wall !== wallOf(looked)) {
    wall = wallOf(looked);
    showWall(looked).then(settle).catch(away);
  }
  if (looked.item || document.querySelector("#one[open]")) one().then(({ showOne }) => showOne(view().item), away);
}

/** The wall is there: now the rest. */
async function settle() {
  (await one()).ends();
  if (mounted) return;
  const { mountWork } = await import("./work.js");
  mounted = true;
  mountWork(byId("work"));
  models().catch(() => {});
}

function choose(field, value) {
  if (field.options && ![...field.options].some((option) => option.value === value)) {
    field.append(element("option", { value, textContent: value }));
  }
  field.value = value;
}

onView.add(look);

filters.addEventListener("change", ({ target }) => go({ [target.name]: target.value }));
filters.addEventListener("submit", (event) => event.preventDefault());
byId("clear").addEventListener("click", () => { go({ q: "", kind: "", model: "", aspect: "", when: "", continues: "" }); search.focus(); });

let typing = 0, typed = false;
search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    go({ q: search.value.trim() }, { replace: typed });
    typed = true;
  }, TYPING_MS);
});
search.addEventListener("blur", () => { typed = false; });
search.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "Enter") return;
  event.preventDefault();
  if (loaded().length) focusTile(loaded()[0].id);
});

byId("home").addEventListener("click", (event) => inPlace(event));
byId("wall").addEventListener("click", (event) => inPlace(event, { opened: true }));

/** Follow a link of ours without leaving the page. */
function inPlace(event, state = null) {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  const told = new URL(link.href).searchParams;
  if (state) go({ item: told.get("item") }, { state });
  else go(Object.fromEntries(Object.keys(view()).map((name) => [name, told.get(name) ?? ""])));
}

async function models() {
  const { items } = await api("/aistudio/models");
  const some = (field, values) => {
    const known = new Set([...field.options].map((option) => option.value));
    field.append(...[...new Set(values)].filter((value) => !known.has(value)).map((value) => element("option", { value, textContent: value })));
  };
  some(filters.elements.model, items.map((item) => item.model));
  some(filters.elements.aspect, items.flatMap((item) => item.aspectRatios));
}

// --- signing in and out ---

function ask(sentence = "") {
  byId("key-wrong").textContent = sentence;
  if (!signIn.open) signIn.showModal();
  byId("key").focus();
}

signIn.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = byId("key").value.trim(), before = key.get();
  byId("key-wrong").textContent = "";
  key.set(given);
  try {
    await api("/quota");
  } catch (error) {
    if (before) key.set(before); else key.forget();
    return ask(error.status === 401 ? WRONG : error.message);
  }
  byId("key").value = "";
  signIn.close();
  start();
});
signIn.addEventListener("cancel", (event) => event.preventDefault());

const WRONG = "This key is not right, or it was revoked.";
onUnauthorized.add(() => { if (key.get()) ask(WRONG); });

async function signOut() {
  await (await one()).sendWaiting();
  key.forget();
  sessionStorage.removeItem("rushes.drafts");
  location.assign("/");
}
byId("sign-out").addEventListener("click", signOut);
addEventListener("storage", (event) => { if (event.key === "rushes.key") location.reload(); });

// --- the keyboard ---

const KEYS = { "/": () => search.select(), m: () => openMake(), "?": () => keys.showModal() };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input:not([type=radio]), textarea, select")) {
    if (event.key === "Escape" && !search.value) search.blur();
    return;
  }
  if (!KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
byId("make").addEventListener("click", () => openMake());
byId("help").addEventListener("click", KEYS["?"]);

// --- going ---

function start() {
  wall = "";
  look();
}

setInterval(lookAgain, LOOK_MS);
document.addEventListener("rushes:entered", lookAgain);
document.addEventListener("visibilitychange", lookAgain);
addEventListener("online", lookAgain);

if (key.get()) start(); else ask();
