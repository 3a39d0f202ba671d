// The page: puts its parts together. Conversations are in the memory of this page; see store.js for who else has them.

import { siteSettings } from "./api.js";
import { box } from "./box.js";
import { screen } from "./chat.js";
import { composer } from "./composer.js";
import { at } from "./element.js";
import { showError } from "./failure.js";
import { isNarrow, openHistory, showHistory } from "./history.js";
import { draw } from "./icons.js";
import { showKey } from "./key.js";
import { preferred, speak } from "./language.js";
import { showAppearance } from "./settings.js";
import { store } from "./store.js";

const NEAR_END_PX = 200;

showAppearance();
for (const picture of document.querySelectorAll("[data-icon]")) draw(picture, picture.dataset.icon);
await speak(preferred());
const permitted = await siteSettings().then(({ history }) => history, () => null);
await store.open(permitted, () => showError("keep_failed"));
composer.open({ send: screen.ask, stop: screen.stop });
screen.open(showHistory);
showKey();
if (store.isKept && store.all().length && !isNarrow()) openHistory(true);
document.body.classList.remove("loading");
at("question").focus();
box.meet();
box.watch();

at("new").addEventListener("click", () => {
  screen.begin();
  if (isNarrow() && !at("history").hidden) openHistory(false);
});
document.addEventListener("keydown", (event) => {
  const isElsewhere = !at("key-form").hidden || document.querySelector("dialog[open]");
  if (event.key === "Escape" && screen.isRunning && !isElsewhere) screen.stop();
});
addEventListener("beforeunload", (event) => {
  const isUnsaved = !store.isKept && store.all().length > 0;
  if (isUnsaved || screen.isRunning || !composer.isEmpty) event.preventDefault();
});
addEventListener("scroll", showDown, { passive: true });
new ResizeObserver(showDown).observe(at("conversation"));
at("down").addEventListener("click", () => scrollTo({ top: document.documentElement.scrollHeight }));

/** Shows the button that leads to the end of the conversation while the end is not in sight. */
function showDown() {
  at("down").hidden = innerHeight + scrollY > document.documentElement.scrollHeight - NEAR_END_PX;
}
