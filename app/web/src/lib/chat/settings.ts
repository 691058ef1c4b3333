// A chat's system prompt and sampling live in its metadata, whose values are short: what is longer
// is kept in pieces.

import type { ChatSettings, Sampling } from "$lib/api/types";

type Metadata = Record<string, string>;

const PIECE = 500; // characters; the server takes 512, in code points
const MOST_PIECES = 12; // of 16 keys, with those of title, pin and sampling
const SAMPLING = "sampling";
const PROMPT = "system";

export const MAX_INSTRUCTIONS = PIECE * MOST_PIECES;

export function readSettings(metadata: Metadata): ChatSettings {
  const settings: ChatSettings = {};
  let instructions = "";
  for (let piece = 0; metadata[`${PROMPT}.${piece}`]; piece++) {
    instructions += metadata[`${PROMPT}.${piece}`];
  }
  if (instructions) settings.instructions = instructions;
  const sampling = readSampling(metadata[SAMPLING]);
  if (sampling) settings.sampling = sampling;
  return settings;
}

/** The metadata with these settings in the place of its old ones. */
export function writeSettings(metadata: Metadata, settings: ChatSettings): Metadata {
  const isSetting = (name: string): boolean => name === SAMPLING || /^system\.\d+$/.test(name);
  const kept = Object.entries(metadata).filter(([name]) => !isSetting(name));
  const written: Metadata = Object.fromEntries(kept);
  const text = settings.instructions?.slice(0, MAX_INSTRUCTIONS) ?? "";
  for (let piece = 0; piece * PIECE < text.length; piece++) {
    written[`${PROMPT}.${piece}`] = text.slice(piece * PIECE, (piece + 1) * PIECE);
  }
  if (settings.sampling) written[SAMPLING] = JSON.stringify(settings.sampling);
  return written;
}

function readSampling(text: string | undefined): Sampling | undefined {
  if (!text) return undefined;
  try {
    return JSON.parse(text) as Sampling;
  } catch {
    return undefined; // somebody else's
  }
}
