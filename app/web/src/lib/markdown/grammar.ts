// Markdown as models write it: GitHub's dialect, and mathematics. HTML is text like any other.

import { Marked, type RendererObject, type TokenizerAndRendererExtension } from "marked";

const INLINE = [/^\\\(([\s\S]+?)\\\)/, /^\$(?![\s$])((?:\\.|[^\\$\n])+?)(?<![\s\\])\$(?!\d)/];
const SHOWN = [/^\\\[([\s\S]+?)\\\]/, /^\$\$([\s\S]+?)\$\$/];

function mathAt(patterns: RegExp[], src: string): { raw: string; tex: string } | undefined {
  for (const pattern of patterns) {
    const match = pattern.exec(src);
    if (match?.[1]?.trim()) return { raw: match[0], tex: match[1].trim() };
  }
  return undefined;
}

const blockMath: TokenizerAndRendererExtension = {
  name: "blockMath",
  level: "block",
  start: (src) => src.match(/(?:^|\n) {0,3}(?:\$\$|\\\[)/)?.index,
  tokenizer(src) {
    const indent = /^ {0,3}/.exec(src)?.[0] ?? "";
    const found = mathAt(SHOWN, src.slice(indent.length));
    if (found === undefined) return undefined;
    const rest = src.slice(indent.length + found.raw.length);
    const end = /^[ \t]*(?:\n+|$)/.exec(rest);
    if (end === null) return undefined;
    return { type: "blockMath", raw: indent + found.raw + end[0], tex: found.tex };
  },
  renderer: (token) =>
    `<p><span class="math" data-shown="">${escapeHtml(String(token.tex))}</span></p>`,
};

const inlineMath: TokenizerAndRendererExtension = {
  name: "inlineMath",
  level: "inline",
  start: (src) => src.match(/\$|\\\(|\\\[/)?.index,
  tokenizer(src) {
    const shown = mathAt(SHOWN, src);
    if (shown) return { type: "inlineMath", ...shown, shown: true };
    const found = mathAt(INLINE, src);
    return found && { type: "inlineMath", ...found, shown: false };
  },
  renderer: (token) =>
    `<span class="math"${token.shown ? ' data-shown=""' : ""}>${escapeHtml(String(token.tex))}</span>`,
};

const renderer: RendererObject = {
  html: ({ text }) => escapeHtml(text),
  // An image would be fetched from wherever the model says: its address is shown as a link.
  image({ href, text }) {
    return `<a href="${escapeHtml(href)}">${escapeHtml(text || href)}</a>`;
  },
  code({ text, lang }) {
    const language = (lang ?? "").trim().split(/\s/)[0] ?? "";
    return `<pre data-language="${escapeHtml(language)}"><code>${escapeHtml(text)}</code></pre>`;
  },
  table(token) {
    const head = token.header.map((cell) => this.tablecell(cell)).join("");
    const rows = token.rows.map(
      (row) => `<tr>${row.map((cell) => this.tablecell(cell)).join("")}</tr>`,
    );
    return `<div class="table-frame"><table><thead><tr>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
  },
};

export const markdown = new Marked({
  gfm: true,
  breaks: false,
  renderer,
  extensions: [blockMath, inlineMath],
});

export function escapeHtml(text: string): string {
  const entities: Record<string, string> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character);
}
