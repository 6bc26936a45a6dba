// The lists of videos and images, merged newest first: read page by page, and looked at again.

import { api } from "./api.js";
import { filters } from "./view.js";

const place = (item) => `${item.createdDate} ${item.id}`;
const newer = (a, b) => ((a.createdDate === b.createdDate ? a.id > b.id : a.createdDate > b.createdDate) ? -1 : 1);
const ENDINGS = { previewImageUrl: "_preview.jpg", thumbnailImageUrl: "_thumbnail.jpg", lastFrameImageUrl: "_last_frame.png" };

/** A video whose other links are its file's with another ending: they are not kept a hundred thousand times. */
const stem = (item) => item.url.slice(0, -4);
class Video {
  get previewImageUrl() { return stem(this) + ENDINGS.previewImageUrl; }
  get thumbnailImageUrl() { return stem(this) + ENDINGS.thumbnailImageUrl; }
  get lastFrameImageUrl() { return stem(this) + ENDINGS.lastFrameImageUrl; }
}

/** An item as the page holds it: the API's, and of which kind it is. */
export function held(item, kind) {
  const own = Object.entries(ENDINGS).every(([name, ending]) => item[name] === stem(item) + ending);
  if (kind === "image" || !own) return { ...item, kind };
  const { previewImageUrl, thumbnailImageUrl, lastFrameImageUrl, ...rest } = item;
  return Object.assign(new Video(), rest, { kind });
}

export const still = (item) => item.thumbnailImageUrl ?? item.url;

/** One item by its id, whichever kind it is; throws ApiError. */
export async function itemOf(id, signal) {
  const kinds = /^[0-9a-f]{8}-/.test(id) ? ["image", "video"] : ["video", "image"];
  for (const kind of kinds) {
    try {
      return held(await api(`/aistudio/${kind}s/${encodeURIComponent(id)}`, { signal }), kind);
    } catch (error) {
      if (error.status !== 404 || kind === kinds[1]) throw error;
    }
  }
}

/** One list: what was read of it, newest first, and where it goes on. */
class Feed {
  items = [];
  pages = [];
  next = "";
  done = false;

  constructor(kind, params) {
    Object.assign(this, { kind, params });
  }

  async page(token, signal) {
    const told = await api(`/aistudio/${this.kind}s`, { params: { ...this.params, nextPageKey: token }, signal });
    return { next: told.nextPageKey ?? "", items: told.items.map((item) => held(item, this.kind)) };
  }

  async more(signal) {
    const token = this.next, page = await this.page(token, signal);
    this.pages.push({ token, after: this.items.at(-1) });
    this.items.push(...page.items);
    this.next = page.next;
    this.done = !page.next;
  }

  /** Read the page again that holds `at` (or the first); whether anything in its stretch has come or gone. */
  async again(at, signal) {
    const known = at ? this.pages.findLast(({ after }) => !after || place(after) > place(at)) : this.pages[0];
    if (!known) return false;
    const page = await this.page(known.token, signal), end = page.next && place(page.items.at(-1));
    const above = known.after ? this.items.filter((item) => place(item) >= place(known.after)) : [];
    const below = end ? this.items.filter((item) => place(item) < end) : [];
    const old = new Map(this.items.map((item) => [item.id, item]));
    if (end && !known.token && this.items.length && !page.items.some((item) => old.has(item.id))) return this.restart(page);
    const found = [...above, ...page.items.map((item) => old.get(item.id) ?? item), ...below];
    if (found.length === this.items.length && found.every((item, index) => item === this.items[index])) return false;
    this.items = found;
    if (!end) Object.assign(this, { done: true, next: "" });
    return true;
  }

  /** More has come than a page holds: what was read before does not follow on it. */
  restart({ items, next }) {
    Object.assign(this, { items, next, done: !next, pages: [{ token: "" }] });
    return true;
  }
}

export class Library {
  items = [];
  #hidden = new Set();
  #stop = new AbortController();

  constructor(looked) {
    const kinds = { videos: ["video"], images: ["image"] }[looked.kind] ?? ["video", "image"];
    this.feeds = kinds.map((kind) => new Feed(kind, filters(looked)));
  }

  get done() { return this.feeds.every((feed) => feed.done); }

  /** Read on, in every list that holds the others up. */
  async more() {
    const short = this.feeds.filter((feed) => !feed.done && this.#left(feed) === 0);
    await Promise.all(short.map((feed) => feed.more(this.#stop.signal)));
    this.#merge();
  }

  /** Look again at the newest, and at the page where `at` stands; whether anything changed. */
  async again(at) {
    const looks = this.feeds.map(async (feed) => {
      const top = await feed.again(null, this.#stop.signal);
      return (at && feed.pages.length > 1 && await feed.again(at, this.#stop.signal)) || top;
    });
    const changed = (await Promise.all(looks)).some(Boolean);
    if (changed) this.#merge();
    return changed;
  }

  hide(id) { this.#hidden.add(id); this.#merge(); }
  unhide(id) { this.#hidden.delete(id); this.#merge(); }
  close() { this.#stop.abort(); }

  /** How many of a list's items wait for older ones of another list. */
  #left(feed) {
    const end = this.#end();
    return end ? feed.items.length - feed.items.findLastIndex((item) => place(item) >= end) - 1 : 0;
  }

  /** Up to where all lists have been read. */
  #end() {
    const ends = this.feeds.filter((feed) => !feed.done).map((feed) => (feed.items.length ? place(feed.items.at(-1)) : "~"));
    return ends.length ? ends.reduce((a, b) => (a > b ? a : b)) : "";
  }

  #merge() {
    const end = this.#end();
    const all = this.feeds.length > 1 ? this.feeds.flatMap((feed) => feed.items).sort(newer) : this.feeds[0].items;
    const read = all.slice(0, all.findLastIndex((item) => place(item) >= end) + 1);
    this.items = this.#hidden.size ? read.filter((item) => !this.#hidden.has(item.id)) : read;
  }
}
