// A connection between client and server that a test cuts, stalls and lets go on.

import { createServer, connect } from "node:net";
import { once } from "node:events";

export class Wire {
  #ends = new Set();
  #mute = false;

  /** Listen on a free port for what goes to `port`. */
  static async to(port) {
    const wire = new Wire();
    wire.server = createServer((client) => wire.#join(client, connect(port, "127.0.0.1")));
    wire.server.listen(0, "127.0.0.1");
    await once(wire.server, "listening");
    wire.port = wire.server.address().port;
    return wire;
  }

  #join(client, server) {
    const pairs = [
      [client, server],
      [server, client],
    ];
    for (const [from, to] of pairs) {
      this.#ends.add(from);
      from.on("data", (data) => {
        if (!this.#mute || from === client) to.write(data);
      });
      from.on("error", () => {});
      from.on("close", () => {
        this.#ends.delete(from);
        to.destroy();
      });
    }
  }

  /** What the server says from now on gets lost. */
  mute() {
    this.#mute = true;
  }

  /** Break all connections; those that come next are sound. */
  cut() {
    for (const end of this.#ends) end.resetAndDestroy();
    this.#mute = false;
  }

  /** Take no more connections, and break those that there are. */
  async close() {
    const closed = once(this.server, "close");
    this.server.close();
    this.cut();
    await closed;
  }
}
