// The inspector's page. What it shows was said by strangers: everything becomes text.

const MINUTE = 60;
const ROWS = 100;
const FRAMES = 500;
const WAITS = [500, 1000, 2000, 5000, 10_000];

const by = (id) => document.getElementById(id);
const all = { previous: null, series: new Map(), ends: [], failures: [], frames: [] };
let socket;
let attempts = 0;
let asked = 0; // numbers requests
let selected = null; // the id of the connection that is looked into
const answers = new Map(); // {number of a request: what takes its answer}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") made.addEventListener("click", value);
    else if (value !== false && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const count = (value) => (value < 10_000 ? whole : short).format(value);
const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");

function age(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d`;
}

function bytes(value) {
  if (value < 1024) return `${value} B`;
  return value < 1 << 20 ? `${(value / 1024).toFixed(1)} KiB` : `${(value / (1 << 20)).toFixed(1)} MiB`;
}

// -- the socket

function connect() {
  const address = new URL(`${location.pathname.replace(/\/$/, "")}/live`, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.search = location.search; // where a token may be
  address.hash = "";
  socket = new WebSocket(address);
  socket.onmessage = ({ data }) => hear(JSON.parse(data));
  socket.onclose = ({ code }) => {
    answers.clear();
    if (code === 4401 || code === 4403) {
      state("error", "you may not look: the application's rule says no");
      return;
    }
    state("error", "not connected, trying again");
    setTimeout(connect, WAITS[Math.min(attempts++, WAITS.length - 1)]);
  };
}

function state(name, text) {
  by("state").dataset.state = name;
  by("state").textContent = text;
}

function hear(message) {
  if (message.type === "overview") {
    attempts = 0;
    state("live", "live");
    show(message);
    return;
  }
  const answer = answers.get(message.id);
  answers.delete(message.id);
  if (message.reply?.type === "overview") show(message.reply);
  else answer?.(message);
}

function say(message, answer) {
  if (socket.readyState !== WebSocket.OPEN) return;
  const id = ++asked;
  if (answer) answers.set(id, answer);
  socket.send(JSON.stringify({ ...message, id }));
}

// -- the whole

function show(now) {
  if (all.previous && all.previous.process !== now.process) {
    Object.assign(all, { previous: null, ends: [], failures: [], frames: [] });
    all.series.clear();
  } else if (!all.previous || now.opened < all.previous.opened) {
    Object.assign(all, { ends: [], failures: [] });
  }
  // A new socket is told again what the last one was told.
  const known = new Set(all.ends.map((end) => end.number));
  const had = new Set(all.failures.map((failure) => failure.number));
  all.ends = [...now.ends.filter(({ number }) => !known.has(number)).reverse(), ...all.ends];
  all.ends.length = Math.min(all.ends.length, ROWS);
  const failures = now.failures.filter(({ number }) => !had.has(number)).reverse();
  all.failures = [...failures, ...all.failures];
  all.failures.length = Math.min(all.failures.length, ROWS);
  by("process").textContent = now.process;
  showFigures(now);
  showRows(now);
  showOne(now);
  showGroups(now);
  showEnds(now);
  showFailures(failures);
  all.previous = now;
}

function showFigures(now) {
  const before = all.previous;
  const elapsed = before ? Math.max(now.at - before.at, 0.001) : 1;
  const rate = (name) => (before ? Math.max(0, now[name] - before[name]) / elapsed : 0);
  const total = (counts) => Object.values(counts).reduce((sum, each) => sum + each, 0);
  const refused = total(now.refused);
  const excesses = total(now.over_limit);
  const figures = [
    ["Connections", now.connections, count(now.connections)],
    ["Received per second", rate("received"), count(Math.round(rate("received")))],
    ["Sent per second", rate("sent"), count(Math.round(rate("sent")))],
    ["Slow readers", now.slow, count(now.slow), now.slow ? "slow" : ""],
    ["Dropped", now.dropped, count(now.dropped), now.dropped ? "slow" : ""],
    ["Refused", refused, count(refused), ""],
    ["Over a limit", excesses, count(excesses), ""],
  ];
  const reasons = { "Refused": now.refused, "Over a limit": now.over_limit };
  by("figures").replaceChildren(...figures.map(([name, value, text, tone]) => {
    const series = all.series.get(name) ?? [];
    all.series.set(name, series);
    series.push(value);
    if (series.length > MINUTE) series.shift();
    const item = element("li", { "data-tone": tone || null },
      element("span", { class: "name" }, name), element("span", { class: "value" }, text),
      line(series));
    const why = Object.entries(reasons[name] ?? {}).map(([each, times]) => `${each}: ${times}`);
    if (why.length) item.title = why.join("\n");
    return item;
  }));
}

function line(series) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 100 28");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const most = Math.max(...series);
  if (series.length < 2 || most === 0) return svg;
  const points = series.map((value, n) => {
    const x = 100 - ((series.length - 1 - n) * 100) / (MINUTE - 1);
    return `${x.toFixed(1)},${(26 - (value / most) * 20).toFixed(1)}`;
  });
  const drawn = document.createElementNS(space, "polyline");
  drawn.setAttribute("points", points.join(" "));
  svg.append(drawn);
  return svg;
}

function showRows(now) {
  const found = by("find").value ? `${count(now.found)} found` : "";
  const cut = now.found > now.rows.length ? `the first ${now.rows.length} of ${count(now.found)}` : "";
  by("shown").textContent = [found, cut].filter(Boolean).join(", ");
  by("nobody").hidden = now.rows.length > 0;
  by("nobody").textContent = by("find").value ? "Nobody is found." : "Nobody is connected.";
  const focused = document.activeElement?.dataset?.connection;
  by("rows").replaceChildren(...now.rows.map((row) => rowOf(row, now)));
  if (focused) by("rows").querySelector(`[data-connection="${CSS.escape(focused)}"]`)?.focus();
}

function rowOf(row, now) {
  const number = (name, value, text) => element("td",
    { class: value ? "n" : "n zero", "data-name": name }, text ?? count(value));
  const choose = (event) => {
    event.stopPropagation();
    look(row.id === selected ? null : row.id);
  };
  return element("tr", {
    onclick: choose,
    "aria-selected": row.id === selected,
    class: [row.waiting ? "slow" : "", row.dropped ? "lost" : ""].join(" ").trim() || null,
  },
  element("td", { title: `${row.path} ${row.id}` },
    element("button", { type: "button", onclick: choose, "data-connection": row.id }, row.consumer),
    element("span", { class: "path" }, row.path)),
  element("td", {}, row.user),
  element("td", { class: "mono" }, row.address),
  number("age", 1, age(now.at - row.since)),
  number("in", row.received), number("out", row.sent),
  number("waiting", row.waiting), number("dropped", row.dropped));
}

// -- one connection

function look(id) {
  selected = id;
  all.frames = [];
  if (id === null) by("one").hidden = true;
  say({ type: "look", connection: id }, (answer) => {
    if (answer.error && selected === id) look(null);
  });
}

function showOne(now) {
  if (selected !== null && now.looked_at === null) {
    look(selected); // after a new socket, or once it has ended
  }
  if (selected === null) return;
  all.frames.push(...(now.looked_at === selected ? now.frames : []));
  all.frames.splice(0, all.frames.length - FRAMES);
  const row = now.rows.find(({ id }) => id === selected);
  const one = by("one");
  const box = one.querySelector(".frames");
  const follows = !box || box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
  const fresh = one.dataset.id !== selected || one.hidden;
  if (fresh) begin(one);
  one.hidden = false;
  const facts = row
    ? [["Path", row.path], ["User", row.user || "unknown"], ["Since", clock(row.since)],
      ["Waiting", `${count(row.waiting)}, ${bytes(row.waiting_bytes)}`],
      ["Protocol", row.protocol || "plain"],
      ["Groups", row.groups.slice(0, 12).join(", ") + (row.groups.length > 12 ? ", …" : "") || "none"]]
    : [["State", "not among those that are shown, or it has ended"]];
  one.querySelector("dl").replaceChildren(...facts.map(([name, value]) => element("div", {},
    element("dt", {}, name), element("dd", {}, value))));
  const list = one.querySelector(".frames");
  const last = Number(list.dataset.last ?? 0);
  for (const frame of all.frames.filter(({ number }) => number > last)) {
    list.append(frameOf(frame));
    list.dataset.last = frame.number;
  }
  while (list.children.length > FRAMES) list.firstChild.remove();
  one.querySelector(".empty").hidden = list.children.length > 0;
  if (follows) list.scrollTop = list.scrollHeight;
  if (fresh) one.scrollIntoView({ block: "nearest" });
}

function begin(one) {
  const id = selected;
  one.dataset.id = id;
  one.replaceChildren(
    element("div", { class: "head" },
      element("h2", {}, "Frames of"), element("code", { class: "who" }, id),
      element("div", { class: "buttons" },
        element("button", { type: "button", class: "bad", onclick: () => {
          if (confirm(`Disconnect ${id}?`)) say({ type: "disconnect", connection: id });
        } }, "Disconnect"),
        element("button", { type: "button", onclick: () => look(null) }, "Look away"))),
    element("dl"),
    element("p", { class: "empty" }, "Frames are shown from now on."),
    element("ol", { class: "frames", tabindex: "0", "aria-label": "Frames" }));
}

function frameOf(frame) {
  const text = frame.kind === "accept" ? `accepted ${frame.text}` : frame.text;
  const at = new Date(frame.at * 1000);
  const time = `${clock(frame.at)}.${String(at.getMilliseconds()).padStart(3, "0")}`;
  return element("li", { class: `${frame.sent ? "sent" : "came"} ${frame.kind}` },
    element("span", { class: "at" }, time),
    element("span", { class: "way", title: frame.sent ? "to the client" : "from the client" },
      frame.sent ? "↓" : "↑"),
    element("span", { class: "text" }, frame.kind === "close" ? `close ${text}` : text),
    element("span", { class: "size" }, bytes(frame.size)));
}

// -- groups, ends, errors

const shownHere = new Map(); // {group: who is present there}

function showGroups(now) {
  const section = by("groups");
  section.querySelector(".soft").textContent = count(now.groups);
  const most = Math.max(1, ...now.group_rows.map(({ members }) => members));
  section.querySelector("ul").replaceChildren(...now.group_rows.map((group) => {
    const here = shownHere.get(group.name);
    const toggle = () => {
      if (!shownHere.delete(group.name)) {
        shownHere.set(group.name, "…");
        say({ type: "who", group: group.name }, (answer) => {
          const { users, more } = answer.reply ?? { users: ["not known"] };
          const text = users.join(", ") + (more ? ` and ${more} more` : "");
          shownHere.set(group.name, text || "nobody");
          showGroups(now);
        });
      }
      showGroups(all.previous ?? now);
    };
    return element("li", {}, bar(group.members / most),
      element("span", { class: "label", title: group.name }, group.name),
      group.presence
        ? element("button", { type: "button", onclick: toggle, "aria-expanded": here !== undefined }, "who")
        : null,
      element("span", {}, count(group.members)),
      here === undefined ? null : element("p", { class: "here" }, here));
  }));
}

function bar(share) {
  const made = element("span", { class: "bar", "aria-hidden": "true" });
  made.style.width = `${Math.round(share * 100)}%`;
  return made;
}

function showEnds(now) {
  const section = by("ends");
  const codes = Object.entries(now.codes).sort(([, one], [, other]) => other - one);
  const sum = codes.reduce((total, [, times]) => total + times, 0);
  const most = Math.max(1, ...codes.map(([, times]) => times));
  section.querySelector(".soft").textContent = count(sum);
  by("codes").replaceChildren(...codes.slice(0, 8).map(([code, times]) => element("li", {},
    bar(times / most), element("span", { class: "label" }, code), element("span", {}, count(times)))));
  const log = section.querySelector(".log");
  log.replaceChildren(...all.ends.slice(0, 50).map((end) => element("li", {},
    element("div", { class: "line" }, element("span", { class: "at" }, clock(end.at)),
      element("span", { class: [1011, 1006, 500].includes(end.code) ? "code wrong" : "code" },
        String(end.code)),
      element("span", { class: "what", title: end.path }, `${end.consumer || "no route"} ${end.path}`),
      element("span", { class: "soft" }, age(end.seconds))),
    end.reason ? element("p", { class: "why" }, `by the ${end.by}: ${end.reason}`) : null)));
}

function showFailures(fresh) {
  const section = by("failures");
  const log = section.querySelector(".log");
  section.querySelector(".soft").textContent = all.failures.length ? count(all.failures.length) : "none";
  if (!all.previous) log.replaceChildren();
  log.prepend(...fresh.map(failureOf));
  while (log.children.length > ROWS) log.lastChild.remove();
}

function failureOf(failure) {
  const text = element("pre", { tabindex: "0" });
  const details = element("details", {},
    element("summary", {}, element("span", { class: "at" }, `${clock(failure.at)} `),
      element("span", { class: "wrong" }, failure.error),
      element("span", { class: "soft" }, ` in ${failure.consumer}`)),
    text);
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    say({ type: "explain", failure: failure.number }, (answer) => {
      text.textContent = answer.reply?.traceback || text.textContent || answer.error.detail;
    });
  });
  return element("li", {}, details);
}

let typing;
by("find").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => say({ type: "find", text: by("find").value }), 150);
});

connect();
