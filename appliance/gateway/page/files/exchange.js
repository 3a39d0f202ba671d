// Shows one question and its answer, with the buttons for both.

import { contentOf } from "./conversation.js";
import { copyButton, element, iconButton, textButton } from "./element.js";
import { fileChip } from "./files.js";
import { label, number, put, say } from "./language.js";
import { blocksOf, questionBlocks, show } from "./markdown.js";

/**
 * Creates the view of an exchange. `actions` has the functions of its buttons: edit(question), regenerate, carryOn,
 * remove. Returns {node, paint, begin, end}: `paint` shows the answer as it is now.
 */
export function exchangeView(exchange, actions) {
  const asked = questionView(exchange, actions);
  const answer = answerView(exchange, actions);
  return { ...answer, node: element("article", "exchange", asked, answer.node) };
}

function questionView(exchange, actions) {
  const { question } = exchange;
  const node = element("section", "turn asked");
  const text = element("div", "text");
  show(text, questionBlocks(question.text));
  const bubble = element("div", "bubble", text, filesOf(question));
  const edit = iconButton("edit", "edit", () => node.replaceWith(editor(node, question, actions)));
  const copy = copyButton("copy_question", () => contentOf(question));
  const remove = iconButton("delete", "delete_exchange", actions.remove);
  node.append(put(element("h2", "unseen"), "you"), bubble, buttons(edit, copy, remove));
  return node;
}

function filesOf({ files }) {
  const list = element("ul", "files", ...files.map((file) => fileChip(file)));
  list.hidden = !files.length;
  return list;
}

/** The field in which a question is changed; to send it asks again from there. */
function editor(node, question, actions) {
  const field = element("textarea");
  field.value = question.text;
  field.dir = "auto";
  field.rows = Math.min(12, question.text.split("\n").length + 1);
  label(field, "edit");
  const leave = () => {
    form.replaceWith(node);
    node.querySelector(".actions button").focus();
  };
  const send = () => {
    const text = field.value.trim();
    if (text || question.files.length) actions.edit({ ...question, text }, leave);
  };
  const form = element("form", "turn asked editor");
  const submit = put(element("button", "main"), "ask_again");
  form.append(filesOf(question), field, element("div", "row end", textButton("cancel", leave), submit));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      leave();
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target === field) {
      event.preventDefault();
      send();
    }
  });
  requestAnimationFrame(() => field.focus());
  return form;
}

function answerView(exchange, actions) {
  const node = element("section", "turn answer");
  const text = element("div", "text");
  const thoughts = element("div", "thoughts");
  thoughts.dir = "auto";
  const thinking = element("details", "thinking", put(element("summary"), "thinking"), thoughts);
  const note = element("span", "note small");
  const carryOn = iconButton("continue", "continue", actions.carryOn);
  carryOn.classList.add("carry-on");
  const row = buttons(
    copyButton("copy_answer", () => exchange.answer.text),
    iconButton("again", "regenerate", actions.regenerate),
    carryOn,
    iconButton("delete", "delete_exchange", actions.remove),
    note,
  );
  const name = element("h2");
  node.append(name, thinking, text, row);
  const paint = () => {
    const { answer } = exchange;
    name.textContent = answer.model;
    thinking.hidden = !answer.thinking;
    thoughts.textContent = answer.thinking;
    show(text, blocksOf(answer.text));
  };
  const finish = () => {
    const { answer } = exchange;
    note.textContent = noteOf(answer);
    carryOn.hidden = !answer.text.trim() || answer.finish === "stop";
    row.hidden = false;
  };
  paint();
  finish();
  return {
    node,
    paint,
    begin: () => {
      row.hidden = true;
      node.classList.add("waiting");
      node.setAttribute("aria-busy", "true");
    },
    end: () => {
      node.classList.remove("waiting");
      node.removeAttribute("aria-busy");
      finish();
    },
  };
}

function buttons(...nodes) {
  return element("div", "actions", ...nodes);
}

function noteOf({ finish, tokens, seconds }) {
  const ends = { __proto__: null, length: say("note_length"), stopped: say("note_stopped"), broken: say("note_broken") };
  const cost = { tokens, seconds: number(seconds, { maximumFractionDigits: 1 }) };
  return [ends[finish || "broken"], tokens && say("note_cost", cost)].filter(Boolean).join(" · ");
}
