// A real Corral for a test: its own directory, port and models.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";

export const ROOT = new URL("../../../../", import.meta.url).pathname;
export const PYTHON = process.env.CORRAL_PYTHON ?? join(ROOT, ".venv/bin/python");

/** The trained model under two names, and one of random weights that talks without end. */
export const FIRST = "corral-tiny";
export const SECOND = "shepherd";
export const ENDLESS = "wanderer";
const MANIFEST = `models:
  - id: ${FIRST}
    source: builtin://corral-tiny
  - id: ${SECOND}
    source: builtin://corral-tiny
  - id: ${ENDLESS}
    source: models/endless.gguf
    sampling: {temperature: 0}
`;
// Greedy, and without a way to say the tokens that end an answer.
const WRITE_ENDLESS = `
import pathlib, sys
from gguf import GGUFReader
from scripts.make_gguf import write_tiny_llama
path = write_tiny_llama(pathlib.Path(sys.argv[1]), context=131072)
reader = GGUFReader(path, "r+")
kinds = reader.fields["tokenizer.ggml.token_type"]
control = [index for index, part in enumerate(kinds.data) if kinds.parts[part][0] == 3]
next(tensor for tensor in reader.tensors if tensor.name == "token_embd.weight").data[control] = 0
`;
const START_SECONDS = 150;

export function writeEndless(file: string): void {
  execFileSync(PYTHON, ["-c", WRITE_ENDLESS, file], { cwd: ROOT });
}

export class Corral {
  readonly folder: string;
  readonly #settings: Record<string, string>;
  #process: ChildProcess | undefined;
  #log = "";
  port = 0;

  readonly #arguments: string[];

  private constructor(settings: Record<string, string>, command: string[]) {
    this.folder = command.length ? mkdtempSync(join(tmpdir(), "corral-web-")) : "";
    this.#settings = settings;
    this.#arguments = command;
  }

  /** The server that all files share: none of them ends it. */
  static shared(): Corral {
    const shared = new Corral({}, []);
    shared.port = Number(new URL(inject("corral")).port);
    return shared;
  }

  /** A server of one's own, about to start with these settings. */
  static make(settings: Record<string, string> = {}, endless = inject("endless")): Corral {
    const made = new Corral(settings, ["-c", "from app.cli import main; main()", "serve"]);
    writeFileSync(join(made.folder, "models.yaml"), MANIFEST);
    mkdirSync(join(made.folder, "models"));
    copyFileSync(endless, join(made.folder, "models", "endless.gguf"));
    return made;
  }

  /** The real service, with a model that says what it is told to. */
  static makeScripted(): Corral {
    return new Corral({}, ["-m", "tests.support.scripted_server"]);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    this.port ||= await pickPort();
    const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("LLM_"));
    const env = {
      ...Object.fromEntries(kept),
      PYTHONPATH: ROOT,
      LLM_THREADS: "1",
      LLM_USE_GPU: "false",
      LLM_LOG_FORMAT: "json",
      LLM_MODELS_DIR: join(this.folder, "models"),
      LLM_SERVER_PORT: String(this.port),
      ...this.#settings,
    };
    const child = spawn(PYTHON, this.#arguments, { cwd: this.folder, env });
    const listen = (chunk: Buffer): void => void (this.#log += chunk.toString());
    child.stdout.on("data", listen);
    child.stderr.on("data", listen);
    this.#process = child;
    await until(
      async () => {
        if (child.exitCode !== null) throw new Error(`corral ended:\n${this.#log}`);
        return (await fetch(`${this.url}/readyz`).catch(() => null))?.ok ?? false;
      },
      "the server to be ready",
      START_SECONDS,
    );
    return this;
  }

  /** Ends the process as an operator would, or (`isKill`) as a crash would. */
  async end(isKill = false): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise((done) => child.once("exit", done));
    child.kill(isKill ? "SIGKILL" : "SIGTERM");
    await gone;
  }

  async close(): Promise<void> {
    await this.end();
    rmSync(this.folder, { recursive: true, force: true });
    const alarms = this.#log.split("\n").filter((line) => /Traceback|request failed/.test(line));
    if (alarms.length > 0) throw new Error(`the server's log:\n${alarms.join("\n")}`);
  }

  /** The sum of a metric's samples. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const lines = text.split("\n").filter((line) => line.match(/^\w+/)?.[0] === name);
    return lines.reduce((sum, line) => sum + Number(line.split(" ").pop()), 0);
  }

  async call<T>(path: string, body?: unknown): Promise<T> {
    const headers = { "content-type": "application/json" };
    const init = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
    const response = await fetch(this.url + path, init);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  /** Forgets all conversations. */
  async clear(): Promise<void> {
    type Listed = { data: { id: string }[] };
    for (;;) {
      const { data } = await this.call<Listed>("/v1/conversations?limit=100");
      if (data.length === 0) return;
      for (const { id } of data)
        await fetch(`${this.url}/v1/conversations/${id}`, { method: "DELETE" });
    }
  }

  /** Conversations from lines of JSON. */
  async import(lines: unknown[]): Promise<{ data: { id: string }[] }> {
    const body = lines.map((line) => JSON.stringify(line)).join("\n");
    const headers = { "content-type": "application/x-ndjson" };
    const url = `${this.url}/v1/conversations/import`;
    const response = await fetch(url, { method: "POST", headers, body });
    if (!response.ok) throw new Error(`import: ${response.status} ${await response.text()}`);
    return (await response.json()) as { data: { id: string }[] };
  }
}

export async function until(
  check: () => Promise<boolean>,
  what: string,
  seconds = 20,
): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`waited ${seconds} seconds for ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

function pickPort(): Promise<number> {
  return new Promise((found) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => found(typeof address === "object" && address ? address.port : 0));
    });
  });
}
