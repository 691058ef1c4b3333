// From Markdown to elements. Everything passes the sanitiser; nothing is ever set as HTML.

import DOMPurify, { type Config } from "dompurify";
import { markdown } from "./grammar";

const TAGS = [
  ...[
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "div",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
  ],
  ...[
    "input",
    "li",
    "ol",
    "p",
    "pre",
    "span",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
  ],
];
const RULES = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: [
    "align",
    "checked",
    "class",
    "data-language",
    "data-shown",
    "disabled",
    "href",
    "start",
    "title",
    "type",
  ],
  ADD_URI_SAFE_ATTR: ["align", "data-language", "start", "type"],
  ALLOW_DATA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
  RETURN_DOM_FRAGMENT: true,
} satisfies Config;

export function renderMarkdown(text: string): DocumentFragment {
  const fragment = sanitize(markdown.parse(text, { async: false }));
  for (const link of fragment.querySelectorAll("a")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
  }
  for (const box of fragment.querySelectorAll("input")) {
    box.type = "checkbox";
    box.disabled = true;
    box.setAttribute("aria-label", box.checked ? "done" : "to do");
  }
  return fragment;
}

export function sanitize(html: string): DocumentFragment {
  return DOMPurify.sanitize(html, RULES);
}
