// The lists of videos and images, merged newest first: read page by page, and looked at again.

import { api } from "./api.js";
import { filters, view } from "./view.js";

/** Of so many items on either side of the window all is kept: the words of a hundred thousand would fill the memory. */
const NEAR = 300;
/** What is read again begins so many above the window: a page of each list reaches well below it. */
const AROUND = 40;

/** The ids of what is being deleted. */
export const hidden = new Set();

/** An item of the wall: what its place needs, and all that was `told` of it, or null where it is far from the window. */
const item = (told) => ({ id: told.id, created: Date.parse(told.createdDate), shape: told.width / told.height, told });

/** Newest first, as the API has them: negative where `a` stands before `b`. */
const order = (a, b) => b.created - a.created || (a.id < b.id) - (a.id > b.id);

export const still = (told) => told.thumbnailImageUrl ?? told.url;

export const pathOf = (id, kind) => `/aistudio/${kind}s/${encodeURIComponent(id)}`;

/** What is told of one item by its id, whichever kind it is; throws ApiError. */
export async function itemOf(id, kind = "video") {
  try {
    return { ...await api(pathOf(id, kind)), kind };
  } catch (error) {
    if (error.status !== 404 || kind === "image") throw error;
    return itemOf(id, "image");
  }
}

/** One list as far as it was read, newest first. */
class Feed {
  items = [];
  next = "";
  done = false;
  params = filters();

  constructor(kind) { this.kind = kind; }

  async page(more) {
    const { items, nextPageKey = "" } = await api(`/aistudio/${this.kind}s`, { params: { ...this.params, ...more } });
    return { read: items.map((told) => item({ ...told, kind: this.kind })), next: nextPageKey };
  }

  async more() {
    const { read, next } = await this.page({ nextPageKey: this.next });
    this.begin([...this.items, ...read], next);
  }

  begin(items, next) {
    Object.assign(this, { items, next, done: !next });
    return true;
  }

  /** Read a page again, from an item on or of the newest; whether anything in its stretch has come or gone. */
  async again(from) {
    const { items, done } = this, old = new Map(items.map((item) => [item.id, item]));
    if (from && !done && !items.some((item) => order(from, item) <= 0)) return false;
    const { read, next } = await this.page(from && { createdBefore: new Date(from.created + 1).toISOString() });
    // More has come than a page holds: what was read before does not follow on it.
    if (!from && next && !read.some(({ id }) => old.has(id))) return this.begin(read, next);
    // Beyond what was read, the list goes on by itself.
    const known = next && !done ? read.filter((item) => order(item, items.at(-1)) <= 0) : read, last = next && known.at(-1);
    const others = items.filter((item) => (from && item.created > from.created) || (last && order(item, last) > 0));
    const found = [...others, ...known.map((item) => Object.assign(old.get(item.id) ?? item, { told: item.told }))].sort(order);
    [this.items, this.done] = [found, done || !next];
    return found.length !== items.length || known.some(({ id }) => !old.has(id));
  }
}

/** Of what changes the list, each says whether it did. */
export class Library {
  items = [];

  constructor() {
    const kinds = { videos: ["video"], images: ["image"] }[view().kind] ?? ["video", "image"];
    this.feeds = kinds.map((kind) => new Feed(kind));
  }

  get done() { return this.feeds.every((feed) => feed.done); }

  /** Read on, in every list that holds the others up. */
  async more() {
    const short = this.feeds.filter((feed) => !feed.done && feed.items.slice(-1).every((last) => this.#settled(last)));
    await Promise.all(short.map((feed) => feed.more()));
    return this.merge();
  }

  /** Look again at the newest and around an index: for what came or went, and what was forgotten. */
  async again(index = 0) {
    const from = this.items[index - AROUND];
    const changes = await Promise.all(this.feeds.map(async (feed) => {
      const changed = await feed.again();
      return (from && await feed.again(from)) || changed;
    }));
    return changes.some(Boolean) && this.merge();
  }

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
