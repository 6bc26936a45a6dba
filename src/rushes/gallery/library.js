// The lists of videos and images, merged newest first: read page by page, and looked at again.

import { api } from "./api.js";
import { filters } from "./view.js";

/** Of so many items on either side of the window all is kept: the words of a hundred thousand would fill the memory. */
const NEAR = 300;

/** The ids of what is being deleted. */
export const hidden = new Set();

/** An item of the wall: what its place needs, and all that was `told` of it, or null where it is far from the window. */
class Item {
  constructor(told) {
    this.id = told.id;
    this.created = Date.parse(told.createdDate);
    this.shape = told.width / told.height;
    this.told = told;
  }
}

/** Newest first, as the API has them: negative where `a` stands before `b`. */
const order = (a, b) => b.created - a.created || (a.id < b.id) - (a.id > b.id);

export const still = (told) => told.thumbnailImageUrl ?? told.url;

/** What is told of one item by its id, whichever kind it is; throws ApiError. */
export async function itemOf(id, signal, [kind, other] = /^[0-9a-f]{8}-/.test(id) ? ["image", "video"] : ["video", "image"]) {
  try {
    return { ...await api(`/aistudio/${kind}s/${encodeURIComponent(id)}`, { signal }), kind };
  } catch (error) {
    if (error.status !== 404 || !other) throw error;
    return itemOf(id, signal, [other]);
  }
}

/** One list: what was read of it, newest first, and where it goes on. */
class Feed {
  items = [];
  pages = [];
  next = "";
  done = false;

  constructor(kind, params, signal) {
    Object.assign(this, { kind, params, signal });
  }

  async page(more) {
    const { items, nextPageKey = "" } = await api(`/aistudio/${this.kind}s`, { params: { ...this.params, ...more }, signal: this.signal });
    return { items: items.map((told) => new Item({ ...told, kind: this.kind })), next: nextPageKey };
  }

  async more() {
    const token = this.next, { items, next } = await this.page({ nextPageKey: token });
    this.pages.push({ token, after: this.items.at(-1) });
    this.items.push(...items);
    Object.assign(this, { next, done: !next });
  }

  /** Read the page again that holds `at` (or the first); whether anything in its stretch has come or gone. */
  async again(at) {
    const known = this.pages.findLast(({ after }) => !after || (at && order(after, at) < 0));
    if (!known) return false;
    const { items, next } = await this.page({ nextPageKey: known.token }), last = next && items.at(-1);
    const old = new Map(this.items.map((item) => [item.id, item]));
    // More has come than a page holds: what was read before does not follow on it.
    if (last && !known.after && !items.some(({ id }) => old.has(id))) return this.restart(items, next);
    const others = this.items.filter((item) => (known.after && order(item, known.after) <= 0) || (last && order(item, last) > 0));
    const found = [...others, ...items.map((item) => old.get(item.id) ?? item)].sort(order);
    if (found.length === this.items.length && found.every((item, index) => item === this.items[index])) return false;
    this.items = found;
    if (!last) Object.assign(this, { next: "", done: true });
    return true;
  }

  restart(items, next) {
    Object.assign(this, { items, next, done: false, pages: [{ token: "" }] });
    return true;
  }
}

/** Of what changes the list, each says whether it did. */
export class Library {
  items = [];
  #stop = new AbortController();

  constructor(looked) {
    const kinds = { videos: ["video"], images: ["image"] }[looked.kind] ?? ["video", "image"];
    this.feeds = kinds.map((kind) => new Feed(kind, filters(looked), this.#stop.signal));
  }

  get done() { return this.feeds.every((feed) => feed.done); }

  close() { this.#stop.abort(); }

  /** Read on, in every list that holds the others up. */
  async more() {
    const short = this.feeds.filter((feed) => !feed.done && feed.items.slice(-1).every((last) => this.#settled(last)));
    await Promise.all(short.map((feed) => feed.more()));
    return this.merge();
  }

  /** Look again at the newest, and at the page where `at` stands. */
  async again(at) {
    const changes = await Promise.all(this.feeds.map(async (feed) => {
      const top = await feed.again();
      return (at && feed.pages.length > 1 && await feed.again(at)) || top;
    }));
    return changes.some(Boolean) && this.merge();
  }

  /** Read again what is told of the items around an index. */
  async recall(index) {
    const far = new Map(this.items.filter((item) => !item.told).map((item) => [item.id, item]));
    const createdBefore = new Date(this.items[Math.max(0, index - 50)].created + 1).toISOString();
    const pages = await Promise.all(this.feeds.map((feed) => feed.page({ createdBefore })));
    for (const { id, told } of pages.flatMap(({ items }) => items)) if (far.has(id)) far.get(id).told = told;
    return true;
  }

  /** Forget what is told of the items far from an index. */
  forget(index) {
    this.items.forEach((item, at) => { if (Math.abs(at - index) > NEAR) item.told = null; });
  }

  merge() {
    const all = this.feeds.flatMap((feed) => feed.items).sort(order);
    this.items = all.filter((item) => this.#settled(item) && !hidden.has(item.id));
    return true;
  }

  /** Whether every list has been read as far as this. */
  #settled(item) {
    return this.feeds.every(({ done, items }) => done || (items.length && order(item, items.at(-1)) <= 0));
  }
}
