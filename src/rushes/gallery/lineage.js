// Where an item comes from and what became of it: links of this server's own files share their item's file.

import { api } from "./api.js";
import { element } from "./element.js";
import { held, itemOf, still } from "./library.js";
import { address } from "./view.js";
import { loaded } from "./wall.js";

const OWN = /^(\/(videos|images)\/user\/[^/]+\/([0-9a-f-]{36}))(\.mp4|\.png|_preview\.jpg|_thumbnail\.jpg|_last_frame\.png)$/;
const PAGES = 20;

/** The inputs of an item: [what for, link]. */
export function inputs(item) {
  const told = [["First frame", item.firstFrameImageUrl], ["Continues", item.extendVideoUrl], ["Reference", item.referenceImageUrl],
    ...(item.referenceImageUrls ?? []).map((link) => ["Reference", link])];
  return told.filter(([, link]) => link);
}

/** Fill the strip with what an item continued and what continues it; `signal` ends the looking. */
export async function lineage(strip, item, signal) {
  const before = inputs(item).map(([what, link]) => parent(what, link, item, signal));
  strip.replaceChildren(...before);
  strip.hidden = !before.length;
  const after = await children(item, signal).catch(() => []);
  if (signal.aborted) return;
  const self = element("span", { className: "self" }, picture(still(item), item.prompt), element("i", { textContent: "This" }));
  const shown = after.map((child) => step(became(child), child));
  if (after.length) strip.hidden = false;
  strip.append(self, ...shown);
}

const children = async (item, signal) => {
  const told = await Promise.all(["video", "image"].map(async (kind) => {
    const page = await api(`/aistudio/${kind}s`, { params: { continues: item.id, limit: 24 }, signal });
    return page.items.map((child) => held(child, kind));
  }));
  return told.flat();
};

const became = (child) => (child.extendVideoUrl ? "Extended" : child.firstFrameImageUrl ? "Continued" : "Refers to it");

const picture = (src, alt) => element("img", { src, alt, decoding: "async" });

const step = (what, item) => element("a", { className: "step", href: address({ item: item.id }) },
  picture(still(item), item.prompt), element("i", { textContent: what }));

/** An input: at once with its picture, and leading to its item as soon as that is found. */
function parent(what, link, item, signal) {
  const own = ownFile(link, item);
  const outside = { className: "step", target: "_blank", rel: "noopener noreferrer", title: link };
  if (/^https?:/i.test(link)) outside.href = link;
  if (!own) return element("a", outside, element("span", { textContent: host(link) }), element("i", { textContent: what }));
  const shown = element("a", outside, picture(own.still, `${what}: ${link}`), element("i", { textContent: what }));
  find(own, item, signal).then((found) => { if (found) shown.replaceWith(step(what, found)); }, () => {});
  return shown;
}

function ownFile(link, item) {
  let url;
  try { url = new URL(link, location.origin); } catch { return null; }
  const [, file, list, id] = OWN.exec(url.pathname) ?? [];
  const ours = [location.origin, new URL(item.url, location.origin).origin].includes(url.origin);
  return file && ours ? { id, list, still: url.origin + file + (list === "images" ? ".png" : "_thumbnail.jpg") } : null;
}

function host(link) {
  try { return new URL(link).host; } catch { return link; }
}

async function find({ id, list }, item, signal) {
  const known = loaded().find((other) => other.url.includes(id));
  if (known) return known;
  if (list === "images") return itemOf(id, signal);
  const params = { createdBefore: item.createdDate };
  for (let page = 0; page < PAGES; page++) {
    const told = await api("/aistudio/videos", { params, signal });
    const found = told.items.find((other) => other.url.includes(id));
    if (found) return held(found, "video");
    if (!told.nextPageKey) return undefined;
    params.nextPageKey = told.nextPageKey;
  }
}
