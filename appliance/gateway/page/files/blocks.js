// Shows an answer as prose and blocks of code. The model's text is inserted only as text, never as markup.

const FENCE = /^(\s*)(`{3,}|~{3,})([^`]*)$/;
const shown = new WeakMap();

/** Splits text into blocks: {code: boolean, language: string, text: string}. An unclosed fence continues to the end. */
export function blocksOf(text) {
  const blocks = [];
  let block = { code: false, language: "", lines: [] };
  let fence = null;
  const close = () => {
    const content = block.lines.join("\n");
    const kept = block.code ? content : content.replace(/^\n+|\s+$/g, "");
    if (block.code || kept) blocks.push({ code: block.code, language: block.language, text: kept });
  };
  for (const line of text.split("\n")) {
    const match = FENCE.exec(line);
    if (fence && match && match[2].startsWith(fence.mark) && !match[3].trim()) {
      close();
      block = { code: false, language: "", lines: [] };
      fence = null;
    } else if (!fence && match) {
      close();
      fence = { mark: match[2], indent: match[1].length };
      block = { code: true, language: match[3].trim().split(/\s/)[0], lines: [] };
    } else {
      // Code in a list is indented as a whole, so the fence's indentation is removed from each line.
      const indent = fence ? Math.min(fence.indent, line.length - line.trimStart().length) : 0;
      block.lines.push(line.slice(indent));
    }
  }
  close();
  return blocks;
}

/** Makes `container` show `text`. Nodes of unchanged blocks are kept, so that the user's selection in them is kept. */
export function show(container, text) {
  const blocks = blocksOf(text);
  blocks.forEach((block, index) => {
    const node = container.children[index];
    const before = node && shown.get(node);
    if (before && before.code === block.code && before.language === block.language) {
      if (before.text !== block.text) fill(node, block);
    } else {
      const fresh = block.code ? codeNode(block) : proseNode();
      fill(fresh, block);
      if (node) node.replaceWith(fresh);
      else container.append(fresh);
    }
  });
  while (container.children.length > blocks.length) container.lastElementChild.remove();
}

function fill(node, block) {
  shown.set(node, block);
  if (block.code) {
    node.querySelector("code").textContent = block.text;
    return;
  }
  // Every second piece was between backticks.
  const pieces = block.text.split(/`([^`\n]+)`/);
  node.replaceChildren(...pieces.map((piece, index) => (index % 2 ? inlineCode(piece) : piece)));
}

/** The direction of prose follows its letters: right to left in Arabic and Hebrew. */
function proseNode() {
  const node = element("div", "prose");
  node.dir = "auto";
  return node;
}

/** Code is always left to right. */
function inlineCode(text) {
  const node = element("code", "", text);
  node.dir = "ltr";
  return node;
}

function codeNode(block) {
  const node = element("div", "code");
  node.dir = "ltr";
  const top = element("div", "top");
  top.append(element("span", "", block.language || "code"));
  // Browsers allow the clipboard only for pages over TLS or from the same machine.
  if (navigator.clipboard) top.append(copyButton(node));
  const pre = element("pre");
  // Content that scrolls sideways must be reachable by keyboard.
  pre.tabIndex = 0;
  pre.append(element("code"));
  node.append(top, pre);
  return node;
}

function copyButton(node) {
  const button = element("button", "quiet", "Copy");
  button.type = "button";
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(node.querySelector("code").textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}

/** Creates an element with a class and a text. */
export function element(name, className = "", text = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}
