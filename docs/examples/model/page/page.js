// The page: the connection, the two ways to ask, and the form.

import { connect, groupName } from "/consumers.js";
import { Answer } from "./answer.js";
import { Status } from "./status.js";

const NEAR = 60; // pixels: who is so near to the bottom reads the latest

const byId = (id) => document.getElementById(id);
const scroller = byId("scroller");
const client = connect("/model");
const status = new Status(byId("status"));
const answers = [];

client.on("state", (state) => {
  status.show(state);
  const live = state.name === "live";
  byId("hang-up").disabled = !live;
  for (const answer of answers) answer.connected(live);
  if (!live) showWork({ writing: 0 }, "Not connected");
});
byId("retry").onclick = () => (client.state.name === "closed" ? location.reload() : client.check());
byId("hang-up").onclick = () => client.send({ type: "hang_up" });

// -- a reply: a stream, which this connection carries ---------------------------------

async function ask(prompt) {
  const abort = new AbortController();
  const answer = draw({ stop: () => abort.abort(), again: () => ask(prompt) });
  answer.prompt(prompt);
  try {
    for await (const token of client.stream({ type: "ask", prompt }, { signal: abort.signal })) {
      answer.add(token);
    }
    answer.end("finished");
  } catch (error) {
    answer.end(abort.signal.aborted ? "stopped" : error.code);
  }
}

// -- an answer that is kept: a group, which anybody can read who has its key ----------

// The address of the page has the keys of its answers, so that a reload finds them again.
// Servers are not sent what is behind the #.
const keys = location.hash.slice(1).split(",").filter(Boolean);

async function begin(prompt) {
  const answer = draw({});
  answer.prompt(prompt);
  try {
    const { key } = await client.request({ type: "begin", prompt });
    keys.push(key);
    history.replaceState(null, "", `#${keys}`);
    read(key, answer);
  } catch (error) {
    answer.end(error.code);
  }
}

// The subscription goes on where it was, after each reconnect: no token is lost, and none
// comes twice. Without a position, as after a reload, the answer comes from its start.
function read(key, answer = draw({})) {
  const tokens = client.subscribe(groupName("answer.{key}", { key }));
  answer.share(`#${key}`);
  answer.stop = () => client.request({ type: "stop", key }).catch(({ code }) => answer.end(code));
  tokens.on("subscribed", ({ recovered }) => recovered || answer.clear());
  tokens.on("publication", ({ message }) => {
    if (message.type === "prompt") answer.prompt(message.text);
    if (message.type === "token") answer.add(message);
    if (message.type === "end") {
      answer.end(message.how);
      tokens.unsubscribe();
    }
  });
  tokens.on("unsubscribed", ({ code }) => answer.end(code));
}

// -- what the server is busy with -----------------------------------------------------

const work = client.subscribe("work");
work.on("subscribed", ({ snapshot }) => showWork(snapshot));
work.on("publication", ({ message }) => showWork(message));

function showWork({ writing }, none = "The model rests") {
  const some = writing === 1 ? "The model writes 1 answer" : `The model writes ${writing} answers`;
  byId("work").dataset.writing = writing;
  byId("work").textContent = writing === 0 ? none : some;
}

// -- drawing --------------------------------------------------------------------------

// Show an answer below the others; go along as it grows, unless somebody reads above.
function draw(acts) {
  const answer = new Answer(acts, (change) => {
    const { scrollHeight, scrollTop, clientHeight } = scroller;
    const follows = scrollHeight - scrollTop - clientHeight < NEAR;
    change();
    if (follows) scroller.scrollTop = scroller.scrollHeight;
  });
  byId("nothing").hidden = true;
  byId("answers").append(answer.article);
  answers.push(answer);
  answer.connected(client.state.name === "live");
  scroller.scrollTop = scroller.scrollHeight;
  return answer;
}

// -- writing --------------------------------------------------------------------------

const form = document.querySelector("form");
const field = byId("prompt");

function grow() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

function submit(prompt) {
  if (!prompt) return;
  if (form.elements.kind.value === "kept") begin(prompt);
  else ask(prompt);
}

field.addEventListener("input", grow);
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit(field.value.trim());
  field.value = "";
  grow();
});
for (const button of byId("nothing").querySelectorAll("button")) {
  button.onclick = () => submit(button.textContent);
}

// Everything is there: begin.

keys.forEach((key) => read(key));
addEventListener("hashchange", () => location.reload()); // other answers were asked for
if (matchMedia("(hover: hover)").matches) field.focus();
