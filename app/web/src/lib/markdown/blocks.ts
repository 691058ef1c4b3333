// Markdown is rendered block by block, and long lists and tables part by part, so that a stream
// renders only the last of them again.

import type { Token, Tokens } from "marked";
import { markdown } from "./grammar";

export interface Block {
  /** Its place in the text, which never changes. */
  start: number;
  /** What `parts` are: a list's items, a table's rows, or the one whole of anything else. */
  kind: "list" | "table" | "whole";
  /** What each part needs before it to be read alone: of a table, the lines above its rows. */
  head: string;
  /** The source after `head`, in pieces that are finished but for the last. */
  parts: string[];
}

/** What may yet become another item of the list above it. */
const STUB = /^ {0,3}(?:\d{1,9}[.)]?|[-+*])$/;

export const sourceOf = (block: Block): string => block.head + block.parts.join("");

/** Splits a text that only ever grows. What has been finished is not looked at again. */
export class BlockSplitter {
  #text = "";
  #done: Block[] = [];
  /** The finished parts of the last block, where it goes on after them. */
  #open: Block | null = null;
  /** Where the text begins that is still looked at. */
  #start = 0;

  /** The blocks of `text`; those before the last keep their identity while it grows. */
  split(text: string): Block[] {
    if (!text.startsWith(this.#text)) this.#reset();
    this.#text = text;
    const blocks = this.#read(text.slice(this.#start));
    const last = blocks.at(-1);
    if (last === undefined) return this.#done.slice();
    const list = blocks.at(-2);
    const isStub = list?.kind === "list" && STUB.test(sourceOf(last));
    const unsettled = blocks.splice(isStub ? -2 : -1);
    this.#done.push(...blocks);
    if (isStub) this.#settle(list, last.start);
    else this.#settle(last, text.length);
    return [...this.#done, ...unsettled];
  }

  /** The blocks that end with `tail`: the open one, gone on with or closed, and new ones. */
  #read(tail: string): Block[] {
    const open = this.#open;
    const head = open?.head ?? "";
    const blocks = readBlocks(head + tail, this.#start - head.length);
    const [first, ...others] = blocks;
    if (open === null) return blocks;
    if (first?.kind === open.kind && first.head === head)
      return [{ ...open, parts: [...open.parts, ...first.parts] }, ...others];
    this.#open = null;
    return [open, ...readBlocks(tail, this.#start)];
  }

  /** Leaves the finished parts of the block behind that ends at `end`. */
  #settle(block: Block, end: number): void {
    const last = block.parts.at(-1) ?? "";
    this.#open = null;
    this.#start = block.start;
    // four blanks before it would make it code
    if (block.parts.length < 2 || /^ {4}|^\t/.test(last)) return;
    this.#open = { ...block, parts: block.parts.slice(0, -1) };
    this.#start = end - last.length;
  }

  #reset(): void {
    this.#done = [];
    this.#open = null;
    this.#start = 0;
  }
}

/** The blocks of `text`, which begins at `start`. Blank lines belong to the block before them. */
function readBlocks(text: string, start: number): Block[] {
  const blocks: Block[] = [];
  for (const token of markdown.lexer(text)) {
    const last = blocks.at(-1);
    if (token.type === "space" && last) last.parts.push((last.parts.pop() ?? "") + token.raw);
    else blocks.push({ start, ...divide(token) });
    start += token.raw.length;
  }
  return blocks;
}

function divide(token: Token): Omit<Block, "start"> {
  if (token.type === "list") {
    const parts = (token as Tokens.List).items.map((item) => item.raw);
    const source = parts.join("");
    const rest = token.raw.slice(source.length); // blanks, which the last item is read without
    parts.push((parts.pop() ?? "") + rest);
    if (token.raw.startsWith(source) && !rest.trim()) return { kind: "list", head: "", parts };
  }
  if (token.type === "table") {
    const [names = "", rule = "", ...parts] = token.raw.match(/[^\n]*\n|[^\n]+$/g) ?? [];
    if (parts.length > 0) return { kind: "table", head: names + rule, parts };
  }
  return { kind: "whole", head: "", parts: [token.raw] };
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
