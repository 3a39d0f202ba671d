// Text files for a question: read in the browser, checked, and counted in tokens by the box.

import { countTokens, Refusal } from "./api.js";
import { box } from "./box.js";
import { element, iconButton } from "./element.js";
import { withKey } from "./key.js";
import { number, put, say } from "./language.js";

// The box accepts no larger request, unless its operator says so.
const MOST_BYTES = 4 * 2 ** 20;
// Control characters that no text has.
const BINARY = /[\x00-\x08\x0e-\x1a\x1c-\x1f]/;

/** The file cannot be a part of a question; `sentence` and `values` say why. */
export class FileError extends Error {
  constructor(sentence, values) {
    super(sentence);
    this.sentence = sentence;
    this.values = values;
  }
}

/** Reads a File of the browser: {name, text, tokens}. Throws FileError, or Refusal by the box. */
export async function readFile(file) {
  const name = file.name.replace(/[\s`]+/g, " ").trim().slice(-120);
  const size = number(file.size / 2 ** 20, { maximumFractionDigits: 1 });
  if (file.size > MOST_BYTES) throw new FileError("file_large", { name, size });
  // A dropped folder is a file that cannot be read.
  const bytes = await file.arrayBuffer().catch(() => null);
  const text = bytes && decode(new Uint8Array(bytes));
  if (text === null) throw new FileError("file_binary", { name });
  if (!text.trim()) throw new FileError("file_empty", { name });
  if (!box.model) await box.meet();
  const { id, max_model_len: context } = box.model ?? {};
  if (!id) throw new FileError("no_model", {});
  let tokens;
  try {
    tokens = await withKey(() => countTokens(id, text));
  } catch (error) {
    const isTooLong = error instanceof Refusal && error.code === "context_length_exceeded";
    throw isTooLong ? new FileError("file_over", { name, context }) : error;
  }
  if (tokens >= context) throw new FileError("file_tokens", { name, tokens, context });
  return { name, text, tokens };
}

/** The text of the bytes; null if they are no text. Files of older programs are in Windows' code page. */
function decode(bytes) {
  const wide = { "255,254": "utf-16le", "254,255": "utf-16be" }[bytes.slice(0, 2)];
  for (const encoding of wide ? [wide] : ["utf-8", "windows-1252"]) {
    try {
      const text = new TextDecoder(encoding, { fatal: true }).decode(bytes);
      if (!BINARY.test(text)) return text.replace(/\r\n?/g, "\n");
    } catch {
      // Not in this encoding.
    }
  }
  return null;
}

/** A file as a small label; `remove` adds a button that takes it away. */
export function fileChip(file, remove = null) {
  const name = element("bdi", "name", file.name);
  const tokens = put(element("span", "soft"), "tokens", { tokens: file.tokens });
  if (remove) {
    const chip = element("li", "chip", name, tokens);
    const button = iconButton("close", "file_remove", remove);
    button.setAttribute("aria-label", `${say("file_remove")}: ${file.name}`);
    chip.append(button);
    return chip;
  }
  const text = element("pre", "", element("code", "", file.text));
  text.dir = "auto";
  text.tabIndex = 0;
  return element("li", "", element("details", "chip", element("summary", "", name, tokens), text));
}
