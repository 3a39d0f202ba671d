// The conversations: always in the memory of this page, and in the browser's database if the person wants them kept.

import { preference } from "./preference.js";

const NAME = "appliance";
const TABLE = "conversations";
const held = new Map();
let isPermitted = false;
let opened = null;
let failed = () => {};

export const store = {
  /**
   * Reads what was kept. A site that permits no history has it deleted; null: the box did not tell. `listener` is called
   * when the browser cannot keep or read conversations.
   */
  async open(permitted, listener = () => {}) {
    failed = listener;
    isPermitted = permitted === true;
    if (permitted === false) {
      preference.set("keep", "");
      const names = (await indexedDB.databases()).map(({ name }) => name);
      if (names.includes(NAME)) await run("readwrite", (table) => table.clear());
    }
    if (!store.isKept) return;
    for (const one of (await run("readonly", (table) => table.getAll())) ?? []) held.set(one.id, one);
  },

  get isPermitted() {
    return isPermitted;
  },

  get isKept() {
    return isPermitted && preference.get("keep") === "yes";
  },

  /** The conversations, the latest first. */
  all: () => [...held.values()].sort((one, other) => other.updated - one.updated),

  has: ({ id }) => held.has(id),

  async put(...conversations) {
    for (const one of conversations) held.set(one.id, one);
    if (store.isKept) for (const one of conversations) await run("readwrite", (table) => table.put(one));
  },

  async remove(id) {
    held.delete(id);
    if (store.isKept) await run("readwrite", (table) => table.delete(id));
  },

  async clear() {
    held.clear();
    if (store.isKept) await run("readwrite", (table) => table.clear());
  },

  /** Keeps the conversations from now on, those of this page included, or deletes what the browser kept. */
  async keep(wanted) {
    if (wanted) {
      preference.set("keep", "yes");
      await store.put(...held.values());
    } else {
      await run("readwrite", (table) => table.clear());
      preference.set("keep", "");
    }
  },
};

/** Runs one request in a transaction of its own and returns its result; null: the browser refused. */
async function run(mode, call) {
  try {
    opened ??= settled(database());
    const transaction = (await opened).transaction(TABLE, mode);
    return await settled(call(transaction.objectStore(TABLE)));
  } catch (error) {
    console.info(error);
    opened = null;
    failed();
    return null;
  }
}

function database() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(TABLE, { keyPath: "id" });
  return request;
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
