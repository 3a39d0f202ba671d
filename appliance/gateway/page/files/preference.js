// What a person chose for this browser: the language, the appearance, whether conversations are kept. No texts.

const PREFIX = "appliance.";

export const preference = {
  get: (name) => attempt(() => localStorage.getItem(PREFIX + name)) ?? "",
  /** An empty text deletes the choice. A browser that stores nothing for pages forgets it with the tab. */
  set: (name, text) =>
    attempt(() => (text ? localStorage.setItem(PREFIX + name, text) : localStorage.removeItem(PREFIX + name))),
};

function attempt(call) {
  try {
    return call();
  } catch {
    return null;
  }
}
