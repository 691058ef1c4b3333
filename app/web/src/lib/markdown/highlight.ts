// Colours for code, loaded when the first block of code is finished.

import type { HLJSApi } from "highlight.js";
import { sanitize } from "./render";

const MAX_CODE = 60_000; // characters; beyond it colours cost more than they help

let loading: Promise<HLJSApi> | undefined;

export async function highlight(code: HTMLElement, language: string): Promise<void> {
  const text = code.textContent ?? "";
  if (!language || text.length > MAX_CODE) return;
  loading ??= import("./languages").then((module) => module.hljs);
  const hljs = await loading;
  if (!hljs.getLanguage(language) || code.textContent !== text) return;
  code.replaceChildren(sanitize(hljs.highlight(text, { language, ignoreIllegals: true }).value));
}
