// The question: its field, its files, and the button that sends it or stops the answer.

import { Refusal } from "./api.js";
import { at } from "./element.js";
import { hideError, showError, showRefusal } from "./failure.js";
import { fileChip, FileError, readFile } from "./files.js";
import { label } from "./language.js";

// Text that an editor or a page shows as code.
const CODE = /<pre\b|<code\b|monospace/i;
let files = [];
let press = null;

export const composer = {
  /** `press.send(question)` and `press.stop()` are what the button does. */
  open(functions) {
    press = functions;
    fit();
  },

  /** Whether the person typed or attached something that was not sent. */
  get isEmpty() {
    return !at("question").value.trim() && !files.length;
  },

  /** Puts a question back that was not answered, unless the person already typed another. */
  restore(question) {
    if (!composer.isEmpty) return;
    at("question").value = question.text;
    files = question.files;
    showFiles();
    fit();
  },

  clear() {
    at("question").value = "";
    files = [];
    showFiles();
    fit();
  },

  setRunning(running) {
    at("send").classList.toggle("running", running);
    label(at("send"), running ? "stop" : "send");
  },
};

function send() {
  const question = { text: at("question").value.trim(), files };
  if (question.text || files.length) press.send(question);
}

/** Makes the field as high as its text. */
function fit() {
  const field = at("question");
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

/** Reads files one after the other; the first that cannot be attached is named. */
export async function attach(given) {
  hideError();
  for (const file of given) {
    try {
      files = [...files, await readFile(file)];
      showFiles();
    } catch (error) {
      if (error instanceof FileError) showError(error.sentence, error.values);
      else if (error instanceof Refusal) showRefusal(error, { again: () => attach([file]) });
      else throw error;
    }
  }
  at("question").focus();
}

function showFiles() {
  const chips = files.map((file) =>
    fileChip(file, () => {
      files = files.filter((one) => one !== file);
      showFiles();
      at("question").focus();
    }),
  );
  at("files").replaceChildren(...chips);
  at("files").hidden = !files.length;
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (at("send").classList.contains("running")) press.stop();
  else send();
});
at("question").addEventListener("keydown", (event) => {
  // While an input method composes a character, it needs the Enter key. On a phone, Enter starts a new line.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
  event.preventDefault();
  if (!at("send").classList.contains("running")) send();
});
at("question").addEventListener("input", fit);
at("question").addEventListener("paste", (event) => {
  const pasted = event.clipboardData;
  if (pasted.files.length) {
    event.preventDefault();
    attach([...pasted.files]);
    return;
  }
  const text = pasted.getData("text/plain").replace(/\r\n?/g, "\n");
  const isCode = pasted.types.includes("vscode-editor-data") || CODE.test(pasted.getData("text/html"));
  if (!isCode || !text.trim().includes("\n") || text.includes("```")) return;
  event.preventDefault();
  const before = at("question").value.slice(0, at("question").selectionStart);
  const fenced = `${!before || before.endsWith("\n") ? "" : "\n"}\`\`\`\n${text.replace(/\n$/, "")}\n\`\`\`\n`;
  // Unlike `setRangeText`, this can be undone by the person.
  document.execCommand("insertText", false, fenced);
});

at("attach").addEventListener("click", () => at("picker").click());
at("picker").addEventListener("change", async () => {
  await attach([...at("picker").files]);
  at("picker").value = "";
});
const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  at("ask").classList.add("target");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) at("ask").classList.remove("target");
});
document.addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  at("ask").classList.remove("target");
  attach([...event.dataTransfer.files]);
});
