// A WebSocket that comes back, and says what it is doing.

const FIRST_WAIT = 1; // seconds; doubled at each failure
const LONGEST_WAIT = 30;

// What an end means for somebody who wants to stay. 4000 + an HTTP status stands for a
// refused handshake.
const RETURNING = new Set([1001, 1006, 1011, 1012, 1013, 1014]);
const RETURNING_STATUSES = new Set([408, 425, 429, 500, 502, 503, 504]);

export function shouldReturn(code) {
  return RETURNING.has(code) || RETURNING_STATUSES.has(code - 4000);
}

export class Connection {
  // `address()` is asked at each attempt. `onState` gets {name: "connecting" | "open" |
  // "waiting" | "ended", …}: while it waits the `seconds` left, at the end the `code`.
  constructor(address, { onMessage, onState }) {
    this.address = address;
    this.onMessage = onMessage;
    this.onState = onState;
    this.failures = 0;
    this.timer = null;
    const hurry = () => {
      if (this.timer !== null && !document.hidden) this.connect();
    };
    addEventListener("online", hurry);
    document.addEventListener("visibilitychange", hurry);
    this.connect();
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  // While it waits or has ended, this tries at once.
  connect() {
    clearTimeout(this.timer);
    this.timer = null;
    this.onState({ name: "connecting" });
    this.socket = new WebSocket(this.address());
    let open = false;
    this.socket.onmessage = ({ data }) => {
      // The first message, and not the handshake, shows that the server is well: one
      // that accepts and fails at once is not to be tried again and again.
      if (!open) {
        open = true;
        this.failures = 0;
        this.onState({ name: "open" });
      }
      this.onMessage(JSON.parse(data));
    };
    this.socket.onclose = ({ code }) => this.closed(code);
  }

  closed(code) {
    if (!shouldReturn(code)) {
      this.onState({ name: "ended", code });
      return;
    }
    const wait = Math.min(FIRST_WAIT * 2 ** this.failures, LONGEST_WAIT);
    this.failures += 1;
    // Jitter, so that a restarted server does not get all its clients at one moment.
    this.wait(Math.ceil(wait * (0.5 + Math.random())));
  }

  wait(seconds) {
    if (seconds === 0) {
      this.connect();
      return;
    }
    this.onState({ name: "waiting", seconds });
    this.timer = setTimeout(() => this.wait(seconds - 1), 1000);
  }
}
