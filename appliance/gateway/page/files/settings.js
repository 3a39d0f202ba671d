// The settings: how the model answers in this conversation, and how the page looks.

import { box } from "./box.js";
import { screen } from "./chat.js";
import { at } from "./element.js";
import { LANGUAGES, language, speak } from "./language.js";
import { preference } from "./preference.js";
import { showHistory } from "./history.js";

/** Shows the page in the chosen appearance: light, dark, or as the system. */
export function showAppearance() {
  const chosen = preference.get("appearance");
  document.documentElement.dataset.appearance = chosen;
  at("appearance").value = chosen;
}

/** Shows the settings of the conversation on the screen. */
function showSettings() {
  const { system, temperature, maxTokens, thinking } = screen.conversation.settings;
  at("system").value = system;
  at("temperature").value = temperature;
  at("max-tokens").value = maxTokens;
  at("max-tokens").max = box.model?.max_model_len ?? "";
  at("thinking").value = thinking;
}

function takeSettings() {
  const numberOf = (field) => (field.value && field.validity.valid ? Number(field.value) : "");
  Object.assign(screen.conversation.settings, {
    system: at("system").value,
    temperature: numberOf(at("temperature")),
    maxTokens: numberOf(at("max-tokens")),
    thinking: at("thinking").value,
  });
}

at("language").replaceChildren(...Object.entries(LANGUAGES).map(([code, name]) => new Option(name, code)));
at("language").addEventListener("change", async () => {
  preference.set("language", at("language").value);
  await speak(at("language").value);
  screen.redraw();
  showHistory();
});
at("appearance").addEventListener("change", () => {
  preference.set("appearance", at("appearance").value);
  showAppearance();
});
at("settings-open").addEventListener("click", () => {
  at("language").value = language();
  showSettings();
  at("settings").showModal();
});
at("settings-form").addEventListener("input", takeSettings);
at("settings-reset").addEventListener("click", () => {
  for (const field of ["system", "temperature", "max-tokens", "thinking"]) at(field).value = "";
  takeSettings();
});
at("model").addEventListener("change", () => {
  screen.conversation.settings.model = at("model").value;
});
// A click on the darkened page behind the dialog closes it.
at("settings").addEventListener("click", (event) => {
  if (event.target === at("settings")) at("settings").close();
});
