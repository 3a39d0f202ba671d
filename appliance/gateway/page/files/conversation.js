// A conversation: questions with their files and answers, and the settings that it is asked with. Values only.
//
// {id, title, updated, settings: {model, system, temperature, maxTokens, thinking}, exchanges: [{question, answer}]}
// question: {text, files: [{name, text, tokens}]}; answer: {text, thinking, model, finish, tokens, seconds}
// An empty text as a setting means: the model's own. `finish`: stop, length, stopped (by the person) or broken.

const FORMAT = "appliance-conversations";
const LONGEST_TITLE = 80;
export const NO_SETTINGS = { model: "", system: "", temperature: "", maxTokens: "", thinking: "" };
export const NO_ANSWER = { text: "", thinking: "", model: "", finish: "", tokens: 0, seconds: 0 };

/** The file is no export of conversations; `path` names the wrong part. */
export class ImportError extends Error {
  constructor(path) {
    super(path);
    this.path = path;
  }
}

export function newConversation(settings = NO_SETTINGS) {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { id, title: "", updated: Date.now(), settings: { ...settings }, exchanges: [] };
}

/** The title that the person gave, else the beginning of the first question. */
export function titleOf({ title, exchanges }) {
  const [first] = exchanges;
  const text = title || first?.question.text || first?.question.files[0]?.name || "";
  const [line] = text.trim().split("\n");
  return line.length > LONGEST_TITLE ? `${line.slice(0, LONGEST_TITLE)}…` : line;
}

/** Whether the title, a question or an answer contains the text, whatever its case. */
export function contains(conversation, text) {
  const wanted = text.toLowerCase();
  const texts = conversation.exchanges.flatMap(({ question, answer }) => [question.text, answer.text]);
  return [titleOf(conversation), ...texts].some((one) => one.toLowerCase().includes(wanted));
}

/** The content of a question for the model: the files in fences, then the text. */
export function contentOf({ text, files }) {
  const fenced = files.map((file) => {
    const longest = Math.max(2, ...(file.text.match(/`+/g) ?? []).map((ticks) => ticks.length));
    const fence = "`".repeat(longest + 1);
    return `${file.name}:\n${fence}\n${file.text.replace(/\n$/, "")}\n${fence}`;
  });
  return [...fenced, text].filter(Boolean).join("\n\n");
}

/** The messages for the API: the exchanges before `count`, and the question of that exchange. */
export function messagesOf({ settings, exchanges }, count) {
  const system = settings.system.trim() ? [{ role: "system", content: settings.system }] : [];
  const before = exchanges.slice(0, count).flatMap(({ question, answer }) => [
    { role: "user", content: contentOf(question) },
    { role: "assistant", content: answer.text },
  ]);
  return [...system, ...before, { role: "user", content: contentOf(exchanges[count].question) }];
}

/** The text of a file with these conversations. */
export function exported(conversations) {
  return `${JSON.stringify({ format: FORMAT, version: 1, conversations }, null, 1)}\n`;
}

/** The conversations in the text of a file, with new ids. Throws ImportError. Unknown fields are left out. */
export function imported(text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new ImportError("JSON");
  }
  if (file?.format !== FORMAT || file.version !== 1) throw new ImportError("format");
  return list(file.conversations, "conversations").map((one, index) => {
    const path = `conversations[${index}]`;
    return {
      ...newConversation(settingsOf(one?.settings, `${path}.settings`)),
      ...fields(one, { title: "" }, path),
      updated: Math.min(Math.max(0, fields(one, { updated: 0 }, path).updated), Date.now()),
      exchanges: list(one.exchanges, `${path}.exchanges`).map((each, place) => exchange(each, `${path}.exchanges[${place}]`)),
    };
  });
}

/** Two settings are numbers, or empty texts. */
function settingsOf(value, path) {
  const examples = { ...NO_SETTINGS };
  for (const name of ["temperature", "maxTokens"]) if (value?.[name] !== "") examples[name] = 0;
  return fields(value, examples, path);
}

function exchange(value, path) {
  const question = fields(value?.question, { text: "" }, `${path}.question`);
  const files = list(value.question.files, `${path}.question.files`).map((file, index) =>
    fields(file, { name: "", text: "", tokens: 0 }, `${path}.question.files[${index}]`),
  );
  return { question: { ...question, files }, answer: fields(value.answer, NO_ANSWER, `${path}.answer`) };
}

function list(value, path) {
  if (!Array.isArray(value)) throw new ImportError(path);
  return value;
}

/** The named fields of an object. Each has the type of its example; numbers are finite. */
function fields(value, examples, path) {
  const found = {};
  for (const [name, example] of Object.entries(examples)) {
    const field = value?.[name];
    const isRight = typeof example === "number" ? Number.isFinite(field) : typeof field === "string";
    if (!isRight) throw new ImportError(`${path}.${name}`);
    found[name] = field;
  }
  return found;
}
