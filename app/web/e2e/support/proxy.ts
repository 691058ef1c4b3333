// A wire between browser and server that can be cut.

import { connect, createServer, type Server, type Socket } from "node:net";

export class Wire {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #isDead = false;
  url = "";

  private constructor(target: number) {
    this.#server = createServer((near) => {
      if (this.#isDead) return void near.destroy();
      const far = connect(target, "127.0.0.1");
      for (const socket of [near, far]) {
        this.#open.add(socket);
        socket.on("error", () => undefined);
        socket.on("close", () => {
          this.#open.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      near.pipe(far).pipe(near);
    });
  }

  static async to(port: number): Promise<Wire> {
    const wire = new Wire(port);
    await new Promise<void>((done) => wire.#server.listen(0, "127.0.0.1", done));
    const address = wire.#server.address();
    wire.url = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
    return wire;
  }

  /** Cuts all connections, and every new one until `mend`. */
  cut(): void {
    this.#isDead = true;
    for (const socket of this.#open) socket.destroy();
  }

  mend(): void {
    this.#isDead = false;
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}
