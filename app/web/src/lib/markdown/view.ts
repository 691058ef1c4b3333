// A block on the page. While it grows, only what has changed of it is built again.

import { type Block, readOpenFence, sourceOf } from "./blocks";
import { frameCode } from "./code";
import { highlight } from "./highlight";
import { renderMath } from "./math";
import { renderMarkdown } from "./render";

const MAX_TEXT = 20_000; // characters: a paragraph as long as this is none
const FENCE = /^ {0,3}(?:```|~~~)/;
const HOLDERS = { list: "ul, ol", table: "tbody", whole: null };

export class BlockView {
  readonly #node: HTMLElement;
  #shown: Block | null = null;
  /** The list or the table's body that has an element for each part of the block. */
  #holder: Element | null = null;
  /** The code of a fence that is still open. */
  #code: { text: string; element: HTMLElement } | null = null;

  constructor(node: HTMLElement) {
    this.#node = node;
  }

  /** Shows `block`, which `isOpen` while it may still grow. */
  show(block: Block, isOpen: boolean): void {
    if (!this.#growCode(block) && !this.#growParts(block)) this.#build(block);
    this.#shown = block;
    void renderMath(this.#node, isOpen).catch(() => undefined); // it can be read as it is
    this.#colour(isOpen);
  }

  #build(block: Block): void {
    const source = sourceOf(block);
    const isText = block.kind === "whole" && source.length > MAX_TEXT && !FENCE.test(source);
    const built = isText ? document.createTextNode(source) : build(source);
    this.#holder = findHolder(built, block);
    this.#node.replaceChildren(built);
    const fence = block.kind === "whole" ? readOpenFence(source) : null;
    const element = fence && this.#node.querySelector<HTMLElement>("code");
    this.#code = element && { text: fence.code, element };
    if (this.#code) this.#code.element.textContent = this.#code.text;
  }

  /** Code that is being written is added to. */
  #growCode(block: Block): boolean {
    const fence = this.#code && readOpenFence(sourceOf(block));
    if (!this.#code || !fence?.code.startsWith(this.#code.text)) return false;
    this.#code.element.append(fence.code.slice(this.#code.text.length));
    this.#code.text = fence.code;
    return true;
  }

  /** Items and rows that have not changed stay. */
  #growParts(block: Block): boolean {
    const [shown, holder] = [this.#shown, this.#holder];
    if (!holder || shown?.kind !== block.kind || shown.head !== block.head) return false;
    const same = block.parts.findIndex((part, index) => part !== shown.parts[index]);
    const kept = same < 0 ? block.parts.length : same;
    const changed = { ...block, parts: block.parts.slice(kept) };
    const added = changed.parts.length ? findHolder(build(sourceOf(changed)), changed) : null;
    if (changed.parts.length > 0 && added === null) return false;
    while (holder.children.length > kept) holder.lastElementChild?.remove();
    holder.append(...(added?.children ?? []));
    return true;
  }

  /** Code is coloured when it is finished. */
  #colour(isOpen: boolean): void {
    const growing = this.#holder ? this.#holder.lastElementChild : this.#node;
    for (const pre of this.#node.querySelectorAll<HTMLElement>("pre:not([data-done])")) {
      if (isOpen && growing?.contains(pre)) continue;
      pre.dataset.done = "";
      const code = pre.querySelector("code");
      if (code) void highlight(code, pre.dataset.language ?? "").catch(() => undefined);
    }
  }
}

function build(source: string): DocumentFragment {
  const fragment = renderMarkdown(source);
  fragment.querySelectorAll("pre").forEach(frameCode);
  return fragment;
}

function findHolder(built: Node, { kind, parts }: Block): Element | null {
  const names = HOLDERS[kind];
  const holder = names && built instanceof DocumentFragment ? built.querySelector(names) : null;
  return holder?.children.length === parts.length ? holder : null;
}
