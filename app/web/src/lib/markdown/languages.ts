// The languages that code is coloured in: each a file of its own, loaded when it is first met.

import type { LanguageFn } from "highlight.js";

type Load = () => Promise<{ default: LanguageFn }>;

export const LANGUAGES: Record<string, Load> = {
  bash: () => import("highlight.js/lib/languages/bash"),
  c: () => import("highlight.js/lib/languages/c"),
  cpp: () => import("highlight.js/lib/languages/cpp"),
  csharp: () => import("highlight.js/lib/languages/csharp"),
  css: () => import("highlight.js/lib/languages/css"),
  diff: () => import("highlight.js/lib/languages/diff"),
  dockerfile: () => import("highlight.js/lib/languages/dockerfile"),
  go: () => import("highlight.js/lib/languages/go"),
  ini: () => import("highlight.js/lib/languages/ini"),
  java: () => import("highlight.js/lib/languages/java"),
  javascript: () => import("highlight.js/lib/languages/javascript"),
  json: () => import("highlight.js/lib/languages/json"),
  kotlin: () => import("highlight.js/lib/languages/kotlin"),
  lua: () => import("highlight.js/lib/languages/lua"),
  makefile: () => import("highlight.js/lib/languages/makefile"),
  markdown: () => import("highlight.js/lib/languages/markdown"),
  perl: () => import("highlight.js/lib/languages/perl"),
  php: () => import("highlight.js/lib/languages/php"),
  powershell: () => import("highlight.js/lib/languages/powershell"),
  python: () => import("highlight.js/lib/languages/python"),
  r: () => import("highlight.js/lib/languages/r"),
  ruby: () => import("highlight.js/lib/languages/ruby"),
  rust: () => import("highlight.js/lib/languages/rust"),
  scala: () => import("highlight.js/lib/languages/scala"),
  scss: () => import("highlight.js/lib/languages/scss"),
  shell: () => import("highlight.js/lib/languages/shell"),
  sql: () => import("highlight.js/lib/languages/sql"),
  swift: () => import("highlight.js/lib/languages/swift"),
  typescript: () => import("highlight.js/lib/languages/typescript"),
  xml: () => import("highlight.js/lib/languages/xml"),
  yaml: () => import("highlight.js/lib/languages/yaml"),
};

/** Languages with others inside. */
const INSIDE: Record<string, string[]> = {
  dockerfile: ["bash"],
  javascript: ["xml", "css"],
  markdown: ["xml"],
  shell: ["bash"],
  typescript: ["xml", "css"],
  xml: ["css", "javascript"],
};

const ALIASES: Record<string, string> = {
  ...{ sh: "bash", zsh: "bash", "c++": "cpp", cc: "cpp", h: "c", hpp: "cpp", cs: "csharp" },
  ...{ "c#": "csharp", patch: "diff", docker: "dockerfile", golang: "go", toml: "ini" },
  ...{ js: "javascript", jsx: "javascript", mjs: "javascript", cjs: "javascript" },
  ...{ jsonc: "json", json5: "json", jsonl: "json", kt: "kotlin", kts: "kotlin", mk: "makefile" },
  ...{ make: "makefile", md: "markdown", pl: "perl", ps1: "powershell", pwsh: "powershell" },
  ...{ py: "python", python3: "python", rb: "ruby", rs: "rust", console: "shell" },
  ...{ ts: "typescript", tsx: "typescript", html: "xml", svg: "xml", svelte: "xml", vue: "xml" },
  ...{ yml: "yaml", postgresql: "sql", mysql: "sql", sqlite: "sql" },
};

/** The name of a language in `LANGUAGES`, however a model calls it. */
export function nameOf(language: string): string | undefined {
  const lower = language.toLowerCase();
  const name = ALIASES[lower] ?? lower;
  return Object.hasOwn(LANGUAGES, name) ? name : undefined;
}

/** `name` and all that may stand inside it. */
export const withInside = (name: string): string[] => [name, ...(INSIDE[name] ?? [])];
