// The tests' server of files (tests/support/hub.py), as a process of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { PYTHON, ROOT } from "./corral";

const PROGRAM = `
import sys, time
from pathlib import Path
from tests.support.hub import Stored, run_hub
data = Path("app/catalog/builtin/corral-tiny.gguf").read_bytes()
with run_hub() as hub:
    hub.files = {"quick.gguf": Stored(data, pace=0.04), "slow.gguf": Stored(data, pace=0.5)}
    print(hub.port, flush=True)
    sys.stdin.read()
`;

export class Hub {
  readonly url: string;
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<Hub> {
    const child = spawn(PYTHON, ["-c", PROGRAM], { cwd: ROOT, stdio: ["pipe", "pipe", "inherit"] });
    const port = await new Promise<number>((found, fail) => {
      child.stdout.once("data", (chunk: Buffer) => found(Number(chunk.toString())));
      child.once("exit", (code) => fail(new Error(`the hub ended with ${code}`)));
    });
    return new Hub(child, port);
  }

  close(): void {
    this.#process.stdin?.end();
  }
}
