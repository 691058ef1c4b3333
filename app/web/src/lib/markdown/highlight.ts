// Colours for code that is finished. Each language is loaded when it is first met, and long code is
// coloured piece by piece, so that the page never has to wait for it.

import type { HLJSApi } from "highlight.js";
import { later } from "$lib/slices";
import { LANGUAGES, nameOf, withInside } from "./languages";
import { cutCode } from "./pieces";

const MAX_CODE = 100_000; // characters; beyond it colours cost more than they help
const PIECE = 2500; // characters

/** What highlight.js found: texts, and scopes with more of them inside. */
interface Scope {
  scope?: string;
  children: (Scope | string)[];
}

const loaded = new Map<string, Promise<void>>();

export async function highlight(code: HTMLElement, language: string): Promise<void> {
  const text = code.textContent ?? "";
  const name = nameOf(language);
  if (name === undefined || text.length > MAX_CODE) return;
  const { default: hljs } = await import("highlight.js/lib/core");
  await Promise.all(withInside(name).map((one) => load(hljs, one)));
  const pieces = cutCode(text, PIECE);
  if (pieces.length < 2) {
    later(() => code.replaceChildren(colour(hljs, text, name)));
    return;
  }
  // each piece is laid out by itself: one that gets its colours moves none of the others
  const frames = pieces.map((piece) => {
    const frame = document.createElement("span");
    frame.className = "block";
    frame.append(piece);
    later(() => frame.replaceChildren(colour(hljs, piece, name)));
    return frame;
  });
  code.replaceChildren(...frames);
}

function load(hljs: HLJSApi, name: string): Promise<void> {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  const loading = LANGUAGES[name]!().then((module) => hljs.registerLanguage(name, module.default));
  loaded.set(name, loading);
  loading.catch(() => loaded.delete(name)); // the server was away: the next code asks again
  return loading;
}

function colour(hljs: HLJSApi, text: string, language: string): DocumentFragment {
  const found = hljs.highlight(text, { language, ignoreIllegals: true });
  const { rootNode } = found._emitter as unknown as { rootNode: Scope };
  const fragment = document.createDocumentFragment();
  fragment.append(...rootNode.children.map(build));
  return fragment;
}

/** Elements in the place of highlight.js's HTML: nothing has to be parsed, or made safe. */
function build(node: Scope | string): Node {
  if (typeof node === "string") return document.createTextNode(node);
  const span = document.createElement("span");
  span.className = `hljs-${node.scope?.split(/[.:]/)[0] ?? ""}`;
  span.append(...node.children.map(build));
  return span;
}
