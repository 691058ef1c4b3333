// What surrounds a block of code: its language, and a button that copies it.

import { copy } from "$lib/clipboard";

export function frameCode(pre: HTMLPreElement): void {
  const language = pre.dataset.language ?? "";
  const code = pre.querySelector("code") ?? pre;
  const frame = document.createElement("div");
  frame.className = "code";
  const header = document.createElement("header");
  const name = document.createElement("span");
  name.textContent = language || "text";
  header.append(name, makeButton(code));
  pre.tabIndex = 0; // it scrolls, and not everybody has a mouse
  pre.setAttribute("aria-label", language ? `Code in ${language}` : "Code");
  pre.setAttribute("role", "region");
  pre.replaceWith(frame);
  frame.append(header, pre);
}

function makeButton(code: HTMLElement): HTMLButtonElement {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.onclick = async () => {
    await copy(code.textContent ?? "");
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  };
  return button;
}
