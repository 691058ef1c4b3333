// Text files travel inside the message: a part for each, in a form that models read and that is
// found again when the message is shown.

import type { ContentPart } from "$lib/api/types";

export interface TextFile {
  name: string;
  text: string;
}

export const MAX_FILE_BYTES = 1024 * 1024;
const SHAPE = /^File `([^`\n]{1,200})`:\n(`{3,})\n([\s\S]*)\n\2$/;

export function writeParts(
  text: string,
  files: TextFile[],
): { type: "input_text"; text: string }[] {
  const parts = files.map((file) => ({ type: "input_text" as const, text: writeFile(file) }));
  return text || parts.length === 0 ? [...parts, { type: "input_text", text }] : parts;
}

export function readParts(parts: ContentPart[]): { text: string; files: TextFile[] } {
  const files: TextFile[] = [];
  const texts: string[] = [];
  for (const part of parts) {
    const match = SHAPE.exec(part.text ?? "");
    if (match) files.push({ name: match[1] ?? "", text: match[3] ?? "" });
    else if (part.text) texts.push(part.text);
  }
  return { text: texts.join("\n\n"), files };
}

/** The file as text. Throws with a reason for people. */
export async function readFile(file: File): Promise<TextFile> {
  if (file.size > MAX_FILE_BYTES) throw new Error(`${file.name} is larger than 1 MiB.`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (text.includes("\0")) throw new TypeError("binary");
    return { name: file.name.replaceAll(/[`\n]/g, "_").slice(0, 200), text };
  } catch {
    throw new Error(`${file.name} is not a text file.`);
  }
}

function writeFile({ name, text }: TextFile): string {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), (run) => run[0].length));
  const fence = "`".repeat(longest + 1);
  return `File \`${name}\`:\n${fence}\n${text}\n${fence}`;
}
