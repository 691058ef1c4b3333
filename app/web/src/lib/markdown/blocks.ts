// Markdown is rendered block by block, so that a stream renders only its last one again.

import type { Token } from "marked";
import { markdown } from "./grammar";

export interface Block {
  /** Its place in the text, which never changes. */
  start: number;
  raw: string;
}

/** Splits a text that only ever grows. What has been finished is not looked at again. */
export class BlockSplitter {
  #text = "";
  #done: Block[] = [];
  #start = 0;

  /** The blocks of `text`; those before the last keep their identity while it grows. */
  split(text: string): Block[] {
    if (!text.startsWith(this.#text)) this.#reset();
    this.#text = text;
    const tokens = merge(markdown.lexer(text.slice(this.#start)));
    const last = tokens.pop();
    for (const raw of tokens) {
      this.#done.push({ start: this.#start, raw });
      this.#start += raw.length;
    }
    return last === undefined
      ? this.#done.slice()
      : [...this.#done, { start: this.#start, raw: last }];
  }

  #reset(): void {
    this.#done = [];
    this.#start = 0;
  }
}

/** The source of each block, blank lines joined to the one before. */
function merge(tokens: Token[]): string[] {
  const raws: string[] = [];
  for (const token of tokens) {
    if (token.type === "space" && raws.length > 0) raws[raws.length - 1] += token.raw;
    else raws.push(token.raw);
  }
  return raws;
}

/** The inside of a code fence that has not been closed yet, and its language; null otherwise. */
export function readOpenFence(raw: string): { language: string; code: string } | null {
  const match = /^ {0,3}(`{3,}|~{3,})([^\n]*)(?:\n|$)/.exec(raw);
  if (match === null) return null;
  const fence = match[1] ?? "";
  const close = new RegExp(`\\n {0,3}\\${fence[0]}{${fence.length},}[ \\t]*\\n*$`);
  if (close.test(raw)) return null;
  return {
    language: (match[2] ?? "").trim().split(/\s/)[0] ?? "",
    code: raw.slice(match[0].length),
  };
}
