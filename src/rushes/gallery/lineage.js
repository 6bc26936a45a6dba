// Where an item comes from and what became of it: links of this server's own files share their item's file.

import { api } from "./api.js";
import { element, fill } from "./element.js";
import { still } from "./library.js";
import { address } from "./view.js";

const OWN = /^\/(videos|images)\/user\/[^/]+\/([0-9a-f-]{36})/;

const INPUTS = { firstFrameImageUrl: "First frame", extendVideoUrl: "Continues", referenceImageUrl: "Reference", referenceImageUrls: "Reference" };

/** The inputs of an item: [what for, link]. */
export const inputs = (item) => Object.entries(INPUTS).flatMap(([name, what]) => [item[name] ?? []].flat().map((link) => [what, link]));

/** Fill the strip with what an item continued and what continues it; it is looked for as long as it is `wanted`. */
export async function lineage(strip, item, wanted) {
  const given = inputs(item), before = related("continuedBy", item).catch(() => []);
  fill(strip, given.map(([what, link]) => parent(what, link, item, before)));
  const after = await related("continues", item).catch(() => []);
  if (!wanted()) return;
  strip.append(element("span", { className: "self" }, ...pictured("This", still(item), item.prompt)), ...after.map(became));
}

/** What was made of an item (`continues`), or what it was made from (`continuedBy`). */
async function related(how, { id }) {
  const told = await Promise.all(["videos", "images"].map((list) => api(`/aistudio/${list}`, { params: { [how]: id, limit: 24 } })));
  return told.flatMap(({ items }) => items);
}

const became = (child) => step(child.extendVideoUrl ? "Extended" : child.firstFrameImageUrl ? "Continued" : "Refers to it", child);

const pictured = (what, src, alt) => [element("img", { src, alt }), element("i", {}, what)];

const step = (what, item) => element("a", { href: address({ item: item.id }) }, ...pictured(what, still(item), item.prompt));

/** An input: at once with its picture, and leading to its item as soon as that is found. */
function parent(what, link, item, before) {
  const url = URL.parse(link, location.origin), ours = [location.origin, URL.parse(item.url, location.origin).origin].includes(url?.origin);
  const [file, list, id] = (ours && OWN.exec(url.pathname)) || [];
  if (!file) return outward(link, element("span", {}, url?.host || link), element("i", {}, what));
  const shown = outward(link, ...pictured(what, url.origin + file + (list === "images" ? ".png" : "_thumbnail.jpg"), `${what}: ${link}`));
  before.then((items) => {
    const found = items.find((other) => other.url.includes(id));
    if (found) shown.replaceWith(step(what, found));
  });
  return shown;
}

/** A link as it was sent; only the web's own schemes can be followed. */
export function outward(link, ...children) {
  const made = element("a", { target: "_blank", rel: "noopener noreferrer", title: link }, ...children);
  if (/^https?:/i.test(link)) made.href = link;
  return made;
}
