// Messages to whoever looks at the page.

import { $, make } from "./panels.js";

const STAYS = 8000; // milliseconds

/** Tell something. With a key it takes the place of what was told with it, and stays; "" takes that away.
 *  buttons: text -> what a click on it does */
export function say(message, { key = "", buttons = {} } = {}) {
  const lines = [...$("messages").children];
  for (const line of lines) if (line.dataset.message === message || (key && line.dataset.key === key)) line.remove();
  for (const line of lines.filter((line) => !line.dataset.key).slice(0, -2)) line.remove();
  if (!message) return;
  const made = Object.entries(buttons).map(([textContent, onclick]) => make("button", { textContent, onclick }));
  const line = make("p", {}, message, ...made);
  Object.assign(line.dataset, { key, message });
  $("messages").append(line);
  if (!key) setTimeout(() => line.remove(), STAYS);
}
