// Where an item comes from and what became of it: links of this server's own files share their item's file.

import { api } from "./api.js";
import { element, fill } from "./element.js";
import { itemOf, still } from "./library.js";
import { address } from "./view.js";

const OWN = /^\/(videos|images)\/user\/[^/]+\/([0-9a-f-]{36})/;
const PAGES = 20;

const INPUTS = { firstFrameImageUrl: "First frame", extendVideoUrl: "Continues", referenceImageUrl: "Reference", referenceImageUrls: "Reference" };

/** The inputs of an item: [what for, link]. */
export const inputs = (item) => Object.entries(INPUTS).flatMap(([name, what]) => [item[name] ?? []].flat().map((link) => [what, link]));

/** Fill the strip with what an item continued and what continues it; it is looked for as long as it is `wanted`. */
export async function lineage(strip, item, wanted) {
  const before = inputs(item).map(([what, link]) => parent(what, link, item, wanted));
  fill(strip, before);
  strip.hidden = !before.length;
  const after = await children(item).catch(() => []);
  if (!wanted()) return;
  strip.append(element("span", { className: "self" }, ...pictured("This", still(item), item.prompt)), ...after);
  strip.hidden = strip.children.length === 1;
}

async function children({ id }) {
  const told = await Promise.all(["videos", "images"].map((list) => api(`/aistudio/${list}`, { params: { continues: id, limit: 24 } })));
  return told.flatMap(({ items }) => items).map((child) =>
    step(child.extendVideoUrl ? "Extended" : child.firstFrameImageUrl ? "Continued" : "Refers to it", child));
}

const pictured = (what, src, alt) => [element("img", { src, alt, decoding: "async" }), element("i", {}, what)];

const step = (what, item) => element("a", { className: "step", href: address({ item: item.id }) }, ...pictured(what, still(item), item.prompt));

/** An input: at once with its picture, and leading to its item as soon as that is found. */
function parent(what, link, item, wanted) {
  const url = URL.parse(link, location.origin), own = ownFile(url, item);
  const outside = element("a", { className: "step", target: "_blank", rel: "noopener noreferrer", title: link });
  if (/^https?:/i.test(link)) outside.href = link;
  fill(outside, own ? pictured(what, own.still, `${what}: ${link}`) : [element("span", {}, url?.host || link), element("i", {}, what)]);
  if (own) find(own, item, wanted).then((found) => found && outside.replaceWith(step(what, found)), () => {});
  return outside;
}

function ownFile(url, item) {
  const [file, list, id] = OWN.exec(url?.pathname) ?? [];
  const ours = [location.origin, URL.parse(item.url, location.origin).origin].includes(url?.origin);
  return file && ours && { id, list, still: url.origin + file + (list === "images" ? ".png" : "_thumbnail.jpg") };
}

async function find({ id, list }, item, wanted) {
  if (list === "images") return itemOf(id, ["image"]);
  const params = { createdBefore: item.createdDate };
  for (let page = 0; page < PAGES && wanted(); page++) {
    const { items, nextPageKey } = await api("/aistudio/videos", { params });
    const found = items.find(({ url }) => url.includes(id));
    if (found || !nextPageKey) return found;
    params.nextPageKey = nextPageKey;
  }
}
