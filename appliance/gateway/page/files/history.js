// The list of conversations: open, search, rename, export, import and delete them.

import { contains, exported, ImportError, imported, titleOf } from "./conversation.js";
import { askLine, confirm } from "./dialog.js";
import { at, element, iconButton } from "./element.js";
import { showError } from "./failure.js";
import { date, put } from "./language.js";
import { screen } from "./chat.js";
import { store } from "./store.js";

/** Shows the list as it is now. */
export function showHistory() {
  const wanted = at("search").value.trim();
  const found = store.all().filter((one) => one.exchanges.length && contains(one, wanted));
  at("conversations").replaceChildren(...found.map(row));
  put(at("history-empty"), wanted ? "search_empty" : "history_empty");
  at("history-empty").hidden = Boolean(found.length);
  at("history-all").hidden = !store.all().length;
  at("keep-row").hidden = !store.isPermitted;
  put(at("keep-why"), store.isPermitted ? (store.isKept ? "keep_on" : "keep_off") : "keep_forbidden");
  put(at("privacy"), store.isKept ? "privacy_kept" : "privacy");
  at("keep").checked = store.isKept;
}

function row(conversation) {
  const isOpen = conversation.id === screen.conversation.id;
  const title = element("bdi", "name", titleOf(conversation));
  const open = element("button", "conversation", title, element("span", "soft", date(conversation.updated)));
  open.type = "button";
  if (isOpen) open.setAttribute("aria-current", "true");
  open.addEventListener("click", () => {
    screen.show(conversation);
    if (isNarrow()) openHistory(false);
  });
  const node = element("li", "", open);
  if (isOpen) {
    node.append(
      iconButton("edit", "rename", () => rename(conversation)),
      iconButton("download", "export", () => save([conversation])),
      iconButton("delete", "delete_conversation", () => remove(conversation)),
    );
  }
  return node;
}

async function rename(conversation) {
  const title = await askLine("rename", titleOf(conversation));
  if (title === null) return;
  conversation.title = title.slice(0, 200);
  await store.put(conversation);
  showHistory();
}

async function remove(conversation) {
  if (!(await confirm("confirm_delete_conversation", "delete", { title: titleOf(conversation) }))) return;
  await store.remove(conversation.id);
  screen.begin();
}

/** Gives the person a file with conversations. */
function save(conversations) {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([exported(conversations)], { type: "application/json" }));
  link.download = `conversations-${new Date().toISOString().slice(0, 10)}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}

async function load(file) {
  try {
    const conversations = imported(await file.text().catch(() => ""));
    await store.put(...conversations);
    if (conversations[0]) screen.show(conversations[0]);
    showHistory();
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    showError("import_wrong", { name: file.name, path: error.path });
  }
}

export const isNarrow = () => matchMedia("(max-width: 60rem)").matches;

export function openHistory(open) {
  document.body.classList.toggle("with-history", open);
  at("history").hidden = !open;
  at("history-toggle").setAttribute("aria-expanded", String(open));
  if (open && isNarrow()) at("search").focus();
  else if (!open) at("history-toggle").focus();
}

at("history-toggle").addEventListener("click", () => openHistory(at("history").hidden));
at("history-close").addEventListener("click", () => openHistory(false));
at("shade").addEventListener("click", () => openHistory(false));
at("history").addEventListener("keydown", (event) => {
  if (event.key === "Escape" && isNarrow()) openHistory(false);
});
at("search").addEventListener("input", showHistory);
at("export-all").addEventListener("click", () => save(store.all()));
at("import").addEventListener("click", () => at("import-file").click());
at("import-file").addEventListener("change", async () => {
  const [file] = at("import-file").files;
  at("import-file").value = "";
  if (file) await load(file);
});
at("delete-all").addEventListener("click", async () => {
  if (!(await confirm("confirm_delete_all", "delete_all"))) return;
  await store.clear();
  screen.begin();
});
at("keep").addEventListener("change", async () => {
  const wanted = at("keep").checked;
  if (wanted || !store.all().length || (await confirm("confirm_keep_off", "confirm_keep_off_agree"))) await store.keep(wanted);
  showHistory();
});
