// The gallery: signing in, what the address says, the filters, and the keys of the keyboard.

import { api, KEY } from "./api.js";
import { byId, check, modified, toast } from "./element.js";
import { address, follow, go, view, wallHere } from "./view.js";
import { focusTile, loaded, lookAgain, showWall } from "./wall.js";

const LOOK_MS = 4000, TYPING_MS = 250, SLOW_MS = 1000;
const signIn = byId("sign-in"), search = byId("search"), filters = byId("filters"), fields = filters.elements;

let wall = "", ready, rest;

// What the first picture need not wait for comes after it, or when it is asked for.
const away = () => toast("The server cannot be reached.");
const one = () => import("./one.js");

function look() {
  if (!localStorage[KEY]) return;
  const looked = view();
  for (const name of ["model", "aspect", "when"]) {
    offer(fields[name], [looked[name]]);
    fields[name].value = looked[name];
  }
  check(fields.kind, looked.kind);
  if (search.value.trim() !== looked.q) search.value = looked.q;
  byId("clear").hidden = wallHere() === "/";
  if (wall !== wallHere()) {
    wall = wallHere();
    ready = showWall();
    ready.then(settle);
  }
  if (looked.item || byId("one").open) one().then(({ showOne }) => showOne(view().item), away);
}

/** The wall is there: now the rest, or what could not be had of it before. */
function settle() {
  one().then(({ ends }) => ends(), () => {});
  rest ??= Promise.all([import("./work.js"), models()]).catch(() => { rest = null; });
}

function offer(field, values) {
  for (const value of values) if (![...field.options].some((option) => option.value === value)) field.add(new Option(value, value));
}

async function models() {
  const { items } = await api("/aistudio/models");
  offer(fields.model, items.map(({ model }) => model));
  offer(fields.aspect, items.flatMap(({ aspectRatios }) => aspectRatios));
}

addEventListener("popstate", look);
follow(byId("home"));
follow(byId("wall"), { opened: true });

const apply = (how) => go(address(Object.fromEntries(new FormData(filters))), how);

filters.onchange = () => apply();
byId("clear").onclick = () => { go("/"); search.focus(); };

let typing = 0, typed = false;
/** What is typed at one go is one step in the history. */
function type() {
  clearTimeout(typing);
  apply({ replace: typed });
  typed = true;
}
search.oninput = () => {
  clearTimeout(typing);
  typing = setTimeout(type, TYPING_MS);
};
search.onblur = () => { typed = false; };
search.onkeydown = async (event) => {
  if (event.key !== "ArrowDown" && event.key !== "Enter") return;
  event.preventDefault();
  type();
  await ready;
  if (document.activeElement === search && loaded().length) focusTile(loaded()[0].id);
};

const WRONG = "This key is not right, or it was revoked.";

function ask(sentence = "") {
  byId("key-wrong").textContent = sentence;
  signIn.showModal();
  byId("key").focus();
}

signIn.onsubmit = async (event) => {
  event.preventDefault();
  byId("key-wrong").textContent = "";
  localStorage[KEY] = byId("key").value.trim();
  try {
    await api("/quota");
  } catch (error) {
    delete localStorage[KEY];
    return ask(error.status === 401 ? WRONG : error.message);
  }
  byId("key").value = "";
  signIn.close();
  start();
};
signIn.oncancel = () => false;
document.addEventListener("rushes:unauthorized", () => signIn.open || ask(WRONG));

byId("sign-out").onclick = async () => {
  await (await one()).sendWaiting();
  delete localStorage[KEY];
  sessionStorage.clear();
  location.assign("/");
};

// --- the keyboard: a key presses what names it ---

document.addEventListener("keydown", (event) => {
  if (modified(event) || event.target.matches("input:not([type=radio]), textarea, select")) return;
  const place = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.querySelector("header");
  const named = place.querySelector(`[aria-keyshortcuts="${CSS.escape(event.key)}"]`);
  if (!named) return;
  event.preventDefault();
  if (named === search) search.select(); else named.click();
}, true);

byId("make").onclick = () => import("./make.js").then(({ openMake }) => openMake(), away);
byId("help").onclick = () => byId("keys").showModal();

function start() {
  wall = "";
  look();
  // Where the wall is slow, the rest does not wait for it.
  setTimeout(() => one().catch(() => {}), SLOW_MS);
}

const lookAround = () => signIn.open || lookAgain().then(settle);
setInterval(lookAround, LOOK_MS);
document.addEventListener("rushes:entered", lookAround);
document.addEventListener("visibilitychange", lookAround);
addEventListener("online", lookAround);

if (localStorage[KEY]) start(); else ask();
