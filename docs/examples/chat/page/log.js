// The list of what was said. Whatever comes from others goes through `textContent`, so
// that it stays text.

const GROUPED_FOR = 5 * 60 * 1000; // milliseconds between messages that belong together
const MOST = 500; // entries; older ones are taken out of the page

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, {
  weekday: "long",
  day: "numeric",
  month: "long",
});

export function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

// The same name has the same colour for everybody: a hue in degrees.
export function hueOf(name) {
  let hash = 0x811c9dc5;
  for (const character of name) {
    hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0;
  }
  return (hash % 24) * 15;
}

export function avatar(name) {
  const made = element("span", "avatar", [...name][0].toUpperCase());
  made.ariaHidden = "true";
  made.style.setProperty("--hue", hueOf(name));
  return made;
}

// "Ana", "Ana and Bo", "Ana, Bo and Cy"
export function listed(names) {
  return new Intl.ListFormat("en").format(names);
}

export class Log {
  constructor(list, ownName) {
    this.list = list;
    this.ownName = ownName;
    this.seen = new Set(); // ids: after a gap the latest lines come, also those we have
    this.last = null; // the last entry, if it was said by somebody: {author, at}
    this.day = "";
    this.moves = null; // the last entry, if it tells who came and went
    this.missedUntil = null; // a time, if what was said before it comes now
    this.divider = null;
  }

  add({ id, author, text, at }) {
    if (this.seen.has(id)) return;
    this.seen.add(id);
    const time = new Date(at);
    if (author !== this.ownName && time < this.missedUntil) this.divide();
    this.startDay(time);
    const follows =
      this.last?.author === author && time - this.last.at < GROUPED_FOR;
    this.append(this.message(author, text, time, follows));
    this.last = { author, at: time };
  }

  message(author, text, time, follows) {
    const own = author === this.ownName;
    const item = element("li", "message");
    item.classList.toggle("own", own);
    item.classList.toggle("follows", follows);
    item.style.setProperty("--hue", hueOf(author));

    const name = element("bdi", "author", author);
    const said = element("p", "text", text);
    said.dir = "auto";
    const when = element("time", "when", clock.format(time));
    when.dateTime = time.toISOString();
    const bubble = element("div", "bubble");
    bubble.append(name, said, when);
    item.append(avatar(author), bubble);
    return item;
  }

  // Tell who came and who went. What follows at once belongs to the same line, and who
  // comes back while it is the last one, as when a page is reloaded, never left.
  addMoves(came, went) {
    const moves = this.moves ?? { came: new Set(), went: new Set(), item: null };
    for (const name of came) if (!moves.went.delete(name)) moves.came.add(name);
    for (const name of went) if (!moves.came.delete(name)) moves.went.add(name);
    const parts = [];
    if (moves.came.size) parts.push(`${listed(moves.came)} joined`);
    if (moves.went.size) parts.push(`${listed(moves.went)} left`);
    if (parts.length === 0) {
      moves.item?.remove();
      this.moves = null;
    } else if (moves.item) {
      moves.item.textContent = parts.join(" · ");
    } else {
      moves.item = element("li", "line", parts.join(" · "));
      this.append(moves.item);
      this.moves = moves;
    }
  }

  // Tell where the lines begin that somebody has missed; only the latest such place.
  divide() {
    this.missedUntil = null;
    this.divider?.remove();
    this.divider = element("li", "line divider", "New since you were away");
    this.append(this.divider);
  }

  // Tell that lines may be missing here.
  addGap() {
    this.append(element("li", "line gap", "Some messages may be missing here"));
  }

  startDay(time) {
    const day = calendar.format(time);
    if (day === this.day) return;
    this.day = day;
    const today = day === calendar.format(new Date());
    this.append(element("li", "line day", today ? "Today" : day));
  }

  append(item) {
    this.list.append(item);
    this.last = null;
    this.moves = null;
    while (this.list.childElementCount > MOST) this.list.firstElementChild.remove();
  }
}
