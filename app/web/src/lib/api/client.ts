import { ApiError, errorOf } from "./errors";
import { key } from "./key.svelte";

/** The directory that the page was loaded from, so that a proxy may serve it below a path. */
const BASE = new URL(".", location.href.split("#")[0]).href.replace(/\/$/, "");

export const urlOf = (path: string): string => BASE + path;

export interface RequestOptions {
  method?: "GET" | "POST" | "DELETE";
  body?: unknown;
  signal?: AbortSignal | undefined;
  text?: string;
  /** The page is being closed: the request must outlive it. */
  isLeaving?: boolean;
}

/** The response, its status checked. Throws ApiError; an abort stays an AbortError. */
export async function send(path: string, options: RequestOptions = {}): Promise<Response> {
  const headers: Record<string, string> = {};
  if (key.value) headers.authorization = `Bearer ${key.value}`;
  const init: RequestInit = { method: options.method ?? "GET", headers, cache: "no-store" };
  if (options.isLeaving) init.keepalive = true;
  if (options.signal) init.signal = options.signal;
  if (options.body !== undefined) {
    headers["content-type"] = "application/json";
    init.body = JSON.stringify(options.body);
  } else if (options.text !== undefined) {
    headers["content-type"] = "application/x-ndjson";
    init.body = options.text;
  }
  let response: Response;
  try {
    response = await fetch(urlOf(path), init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, "unreachable", "The server cannot be reached.");
  }
  if (response.ok) return response;
  const error = await errorOf(response);
  if (error.status === 401) key.isWanted = true;
  throw error;
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await send(path, { signal })).json()) as T;
}

export async function postJson<T>(path: string, body: unknown = {}): Promise<T> {
  return (await (await send(path, { method: "POST", body })).json()) as T;
}

export async function remove(path: string): Promise<void> {
  await send(path, { method: "DELETE" });
}

/** `?a=1&b=2`, what is undefined left out. */
export function queryOf(values: Record<string, string | number | boolean | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `?${text}` : "";
}
