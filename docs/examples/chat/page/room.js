// The page of a room.

import { Connection } from "./connection.js";
import { Log, Unsent } from "./log.js";
import { People, Typists } from "./people.js";

const TYPING_EVERY = 2000; // milliseconds between two notices

const byId = (id) => document.getElementById(id);
const room = decodeURIComponent(location.pathname.split("/").at(-1));
const ownName = sessionStorage.getItem("name");

const log = new Log(byId("log"), ownName);
const unsent = new Unsent(byId("unsent"));
const people = new People(byId("people").querySelector("ul"), byId("count"), ownName);
const typists = new Typists(byId("typing"));
let connection;

// Back to the first page; `why` is for it to explain.
function leave(why) {
  const query = new URLSearchParams({ room });
  if (why) query.set("why", why);
  location.replace(`/?${query}`);
}

// What the server sends. What was said comes with its position in the history; who
// returns with the last one gets what was said since.

let position = null;

function onMessage(received) {
  const message = received.message ?? received;
  receive[message.type](message);
  if (received.message) position = received.position;
}

const receive = {
  welcome(welcome) {
    if (position && !welcome.recovered) staying(false, () => log.addGap());
    // Before all that follows is here, the old position is the right one.
    if (welcome.replayed === 0) position = welcome.position;
    byId("nothing").hidden = welcome.replayed > 0 || !log.isEmpty;
    showMoves(people.set(welcome.people));
    unsent.each((id, text) => connection.send({ type: "say", id, text }));
  },
  said(said) {
    typists.remove(said.author);
    byId("nothing").hidden = true;
    unsent.remove(said.id);
    staying(said.author === ownName, () => log.add(said));
  },
  taken({ id }) {
    // The line itself is on its way too, unless it was said before what is shown.
    setTimeout(() => unsent.remove(id), 1000);
  },
  moves({ came, went }) {
    showMoves(people.change(came, went));
  },
  types({ name }) {
    if (name !== ownName) typists.add(name);
  },
};

function showMoves({ came, went }) {
  went.forEach((name) => typists.remove(name));
  if (came.length || went.length) staying(false, () => log.addMoves(came, went));
}

// Scrolling: who reads the latest goes along, and who reads what was before stays.

const scroller = byId("scroller");
let following = true;

function toBottom() {
  scroller.scrollTop = scroller.scrollHeight;
}

function staying(always, change) {
  change();
  if (always || following) toBottom();
  else byId("newer").hidden = false;
}

scroller.addEventListener("scroll", () => {
  const { scrollHeight, scrollTop, clientHeight } = scroller;
  following = scrollHeight - scrollTop - clientHeight < 40;
  if (following) byId("newer").hidden = true;
});
new ResizeObserver(() => { if (following) toBottom(); }).observe(scroller);
byId("newer").addEventListener("click", toBottom);

// The connection's state.

const ENDS = {
  1000: "The server has ended this conversation.",
  1008: "The server did not accept that.",
  1009: "That was too long for the server.",
};

function onState({ name, seconds, code }) {
  byId("status").dataset.state = name;
  byId("retry").hidden = name !== "waiting" && name !== "ended";
  byId("countdown").textContent = name === "waiting" ? `Reconnecting in ${seconds} s…` : "";
  if (code === 4400) leave("refused");
  if (name === "ended") giveBack();
  const state = {
    connecting: "Connecting…",
    open: "Connected",
    waiting: "Connection lost.",
    ended: ENDS[code] ?? `The server closed the connection (${code}).`,
  }[name];
  // Set once, or each second of the countdown would be read aloud.
  if (byId("state").textContent !== state) byId("state").textContent = state;
}

// What the server does not want is not sent again: its writer may change it.
function giveBack() {
  const texts = unsent.take();
  if (texts.length === 0) return;
  text.value = [...texts, text.value].filter(Boolean).join("\n");
  grow();
}

byId("retry").addEventListener("click", () => connection.connect());

// Writing.

const form = document.querySelector("form");
const text = byId("text");
let lastNotice = -Infinity;

function isOpen() {
  return byId("status").dataset.state === "open";
}

function grow() {
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight}px`;
}

text.addEventListener("input", () => {
  grow();
  const now = performance.now();
  if (text.value && isOpen() && now - lastNotice > TYPING_EVERY) {
    lastNotice = now;
    connection.send({ type: "typing" });
  }
});

text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const said = text.value.trim();
  if (!said) return;
  const id = crypto.getRandomValues(new Uint32Array(4)).join("-").slice(0, 36);
  unsent.add(id, said);
  byId("nothing").hidden = true;
  toBottom();
  // If it can't be sent now, it is when the server has welcomed us again.
  if (isOpen()) connection.send({ type: "say", id, text: said });
  text.value = "";
  lastNotice = -Infinity;
  grow();
});

// Who is here, which a phone shows when asked.

byId("toggle").addEventListener("click", () => {
  byId("toggle").ariaExpanded = byId("people").classList.toggle("open");
});

// Everything is there: begin.

if (ownName) {
  document.title = `#${room} · Chat`;
  byId("room").textContent = room;
  const url = new URL(location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  const address = () => {
    url.search = new URLSearchParams({ name: ownName, ...(position && { since: position }) });
    return url;
  };
  connection = new Connection(address, { onMessage, onState });
  // On a phone the focus would open the keyboard over the page.
  if (matchMedia("(hover: hover)").matches) text.focus();
} else {
  leave();
}
