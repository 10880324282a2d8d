// Types of consumers.js.
//
// A client is typed by one parameter: what its messages are. Without it anything goes:
//
//   interface Chat {
//     sends: Say | Typing;
//     receives: Said | Joined;
//     requests: { ask: { message: Ask; reply: Answer } };
//     streams: { tell: { message: Tell; item: Token } };
//     answers: { are_you_there: { message: AreYouThere; reply: boolean } };
//     groups: { [name: `chat.${string}`]: { message: Said; snapshot: Room | null } };
//   }
//   const client = connect<Chat>("/ws/chat");
//   client.request({ type: "ask", text: "why?" }); // Promise<Answer>
//
// Each message is an object whose `type` is the key that it has in the map. The maps are
// written as above, in braces: an `interface` of its own has no index signature.

/** What travels over a connection. A generated client has one for each consumer. */
export interface Protocol {
  /** What `send` takes: a union. */
  sends: unknown;
  /** What the server pushes: a union. */
  receives: unknown;
  /** What `request` takes, by the message's `type`. */
  requests: { [type: string]: { message: unknown; reply: unknown } };
  /** What `stream` takes, by the message's `type`. */
  streams: { [type: string]: { message: unknown; item: unknown } };
  /** What the server asks, by the message's `type`. */
  answers: { [type: string]: { message: unknown; reply: unknown } };
  /** What is published to groups, by their names: `chat.${string}`. */
  groups: { [name: string]: { message: unknown; snapshot: unknown } };
}

/** A message of which only the type is known. */
export interface AnyMessage {
  type: string;
  [field: string]: any;
}

/** A protocol where anything goes. */
export interface AnyProtocol {
  sends: AnyMessage;
  receives: any;
  requests: { [type: string]: { message: AnyMessage; reply: any } };
  streams: { [type: string]: { message: AnyMessage; item: any } };
  answers: { [type: string]: { message: any; reply: any } };
  groups: { [name: string]: { message: any; snapshot: any } };
}

/** The names of a map's entries. */
export type Key<Map> = keyof Map & string;

/** How messages become WebSocket messages; JSON is built in. */
export interface Codec {
  /** Behind the `+` in the name of the subprotocol: `"json"` or `"msgpack"`. */
  readonly name: string;
  /** Return a text, or bytes, for one frame; throw if the frame can't travel. */
  encode(frame: any): string | Uint8Array | ArrayBuffer;
  /** Return what a message holds: `data` is a text, or a `Uint8Array`. */
  decode(data: any): any;
}

/** What a client can be told. Times are in milliseconds. */
export interface Options {
  /**
   * The credential, or what fetches one: before each connection, and before the
   * credential ends. `renew`: the last one will not do any more.
   */
  token?: string | null | ((why: { renew: boolean }) => TokenResult | Promise<TokenResult>);
  /**
   * How the handshake has it: as an offered subprotocol, `bearer.<token>`, so that no
   * proxy writes it into a log; of letters, digits and `-._~`, as a JWT is. If left out:
   * in the URL, as `token`.
   */
  tokenAs?: "subprotocol";
  /** JSON, if left out. */
  codec?: Codec;
  /**
   * Waits between attempts are random, up to `min` after the first failure, doubling up
   * to `max` (500 and 30,000). `false`: no second attempt.
   */
  reconnect?: { min?: number; max?: number } | false;
  /** How many messages and requests may wait to be sent (256). */
  offline?: number;
  /** How many messages an iterator or a stream holds for whoever reads it (1024). */
  queue?: number;
  /** How long each request may take, if it has no `deadline` of its own (no limit). */
  deadline?: number;
  /** Where there is no global one: Node 20. */
  WebSocket?: new (url: string, protocols: string[]) => any;
  /** Further subprotocols to offer. */
  protocols?: string[];
}

export type TokenResult = string | null | undefined;

export interface RequestOptions {
  /** Milliseconds from now, connected or not, until `DeadlineExceeded`. */
  deadline?: number;
  /** Rejects with its reason, and tells the server. */
  signal?: AbortSignal;
  /** Makes the request once, also across page loads; made up if left out. */
  key?: string;
}

export interface StreamOptions {
  signal?: AbortSignal;
}

/** What a user interface shows. */
export type State =
  | { readonly name: "connecting"; readonly attempt: number }
  | { readonly name: "live"; readonly connection: string }
  | {
      /** `offline`: as `waiting`, and the browser says that there is no network. */
      readonly name: "waiting" | "offline";
      /** When the next attempt begins, as `Date.now()` has it. */
      readonly retryAt: number;
      /** In how many milliseconds that was, when the wait began. */
      readonly retryIn: number;
      /** How many attempts have failed; 0 after a connection that lasted. */
      readonly attempt: number;
      /** How the last connection ended. */
      readonly code: number;
      readonly reason: string;
      /** What the server's goodbye said. */
      readonly detail?: any;
    }
  | {
      /** For good. */
      readonly name: "closed";
      readonly code: number;
      readonly reason: string;
      readonly detail?: any;
    };

/** Connect, and stay connected. Returns at once. */
export function connect<P extends Protocol = AnyProtocol>(
  url: string | URL,
  options?: Options,
): Client<P>;

/** A connection that comes back. */
export class Client<P extends Protocol = AnyProtocol> implements AsyncIterable<P["receives"]> {
  private constructor();

  readonly state: State;
  /** The server's id of this connection; `null`: not connected. */
  readonly connection: string | null;

  /** Call `listener` from now on; returns what ends that. */
  on(event: "state", listener: (state: State) => void): () => void;
  on(event: "message", listener: (message: P["receives"]) => void): () => void;
  /** Of groups that the server has put this client into, and that it did not subscribe to. */
  on(event: "publication", listener: (publication: Publication) => void): () => void;
  /** Faults that no promise tells of. Without a listener they go to the console. */
  on(event: "error", listener: (error: unknown) => void): () => void;

  /**
   * Send a message that nobody answers. It waits while there is no connection; what was
   * on its way when a connection broke may be lost.
   *
   * @throws OfflineFull, Closed
   */
  send(message: P["sends"]): void;

  /**
   * Ask, and wait for the answer. It is sent again after a reconnect until it is
   * answered, with the same key: what it publishes is published once. Its method may
   * run again in another process.
   *
   * @throws MessageError, DeadlineExceeded, OfflineFull, Closed, the signal's reason
   */
  request<T extends Key<P["requests"]>>(
    message: { type: T } & P["requests"][T]["message"],
    options?: RequestOptions,
  ): Promise<P["requests"][T]["reply"]>;

  /**
   * Ask, and get the items of the answer. Leaving the loop cancels it.
   *
   * @throws MessageError, ConnectionLost, OfflineFull, Overflow, Closed, the signal's reason
   */
  stream<T extends Key<P["streams"]>>(
    message: { type: T } & P["streams"][T]["message"],
    options?: StreamOptions,
  ): AsyncIterableIterator<P["streams"][T]["item"]>;

  /**
   * Get what is published to a group, through reconnects, each publication once.
   *
   * @throws Error There is a subscription to it already.
   */
  subscribe<G extends Key<P["groups"]>>(
    group: G,
    options?: { position?: string | null },
  ): Subscription<P["groups"][G]["message"], P["groups"][G]["snapshot"]>;

  /** Answer what the server asks; returns what ends that. `MessageError` may be thrown. */
  answer<T extends Key<P["answers"]>>(
    type: T,
    answer: (
      message: P["answers"][T]["message"],
      context: { signal: AbortSignal },
    ) => P["answers"][T]["reply"] | Promise<P["answers"][T]["reply"]>,
  ): () => void;

  /** Connect at once if it waits for that; else look whether the server is there. */
  check(): void;

  /** End it for good. What waits for an answer is rejected with `Closed`. */
  close(): void;

  /** Pushed messages from now on. */
  [Symbol.asyncIterator](): AsyncIterableIterator<P["receives"]>;
}

export interface Publication<Message = any> {
  readonly group: string;
  readonly message: Message;
  /** In groups with history. */
  readonly position: string | null;
}

/** How the server answered a subscribe. */
export interface Subscribed<Snapshot = any> {
  /** Whether everything since the last position follows. */
  readonly recovered: boolean;
  readonly position: string | null;
  readonly snapshot: Snapshot;
}

export class Subscription<Message = any, Snapshot = any>
  implements AsyncIterable<Publication<Message>>
{
  private constructor();

  readonly group: string;
  /** Of the last publication that came: where to go on. */
  readonly position: string | null;
  /** Of the last time that the server answered. */
  readonly recovered: boolean;
  readonly snapshot: Snapshot | null;
  /** Resolves when it is there for the first time, rejects if it was refused. */
  readonly ready: Promise<this>;

  on(event: "publication", listener: (publication: Publication<Message>) => void): () => void;
  /** Also after each reconnect; what was missed comes after it. */
  on(event: "subscribed", listener: (subscribed: Subscribed<Snapshot>) => void): () => void;
  /** It has ended, and not by `unsubscribe`. */
  on(event: "unsubscribed", listener: (error: MessageError | Closed) => void): () => void;

  unsubscribe(): void;

  /** Publications from now on. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Publication<Message>>;
}

/** What all errors of this module are. */
export class ConsumersError extends Error {
  readonly code: string;
  readonly detail?: any;
}

/** The server's answer is an error; thrown in `answer`, the client's. */
export class MessageError extends ConsumersError {
  constructor(code: string, detail?: any);
}

/** The connection ended within a stream. `code` is `"lost"`. */
export class ConnectionLost extends ConsumersError {}

/** No answer in time; what was asked may have happened. `code` is `"deadline"`. */
export class DeadlineExceeded extends ConsumersError {}

/** So much waits to be sent already; this was not taken. `code` is `"full"`. */
export class OfflineFull extends ConsumersError {}

/** What came was not read in time, and some is missing. `code` is `"overflow"`. */
export class Overflow extends ConsumersError {}

/** The client is closed; `detail` is the state. `code` is `"closed"`. */
export class Closed extends ConsumersError {}

/** Return the group's name: `groupName("chat.{channel}", { channel: "lobby" })`. */
export function groupName(
  pattern: string,
  values: { [parameter: string]: string | number },
): string;
