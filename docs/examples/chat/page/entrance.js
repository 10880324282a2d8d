// The first page: a name and a room.

const PROBLEMS = {
  refused: "That name or room can't be used. Try a shorter, simpler one.",
};

const form = document.querySelector("form");
const nameField = document.getElementById("name");
const rooms = document.getElementById("rooms");
const another = document.getElementById("another");
const other = document.getElementById("other");
const asked = new URLSearchParams(location.search);

function roomChoice(room, people) {
  const radio = document.createElement("input");
  radio.type = "radio";
  radio.name = "room";
  radio.value = room;
  const name = document.createElement("bdi");
  name.textContent = room;
  const count = document.createElement("span");
  count.className = "hint";
  count.textContent = people === 0 ? "empty" : `${people} here`;
  const label = document.createElement("label");
  label.className = "choice";
  label.append(radio, name, count);
  return label;
}

async function showRooms() {
  const response = await fetch("/rooms");
  const people = Object.entries(await response.json());
  rooms.replaceChildren(...people.map(([room, count]) => roomChoice(room, count)));
  const wanted = asked.get("room") ?? people[0][0];
  if (people.some(([room]) => room === wanted)) {
    form.elements.room.value = wanted;
  } else {
    other.value = wanted;
    another.checked = true;
  }
}

other.addEventListener("focus", () => { another.checked = true; });
another.addEventListener("change", () => other.focus());

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const name = nameField.value.trim().replace(/\s+/g, " ");
  // "Book Club" becomes book-club, as an address has it.
  const own = other.value.trim().toLowerCase().replace(/[^\p{L}\p{N}_]+/gu, "-");
  const room = form.elements.room.value || own;
  if (!name) {
    nameField.focus();
  } else if (!room) {
    other.focus();
  } else {
    sessionStorage.setItem("name", name);
    localStorage.setItem("name", name);
    location.assign(`/r/${encodeURIComponent(room)}`);
  }
});

// The tab's own name comes before the last one that this browser used.
nameField.value = sessionStorage.getItem("name") ?? localStorage.getItem("name") ?? "";
if (asked.get("why") in PROBLEMS) {
  const problem = document.getElementById("problem");
  problem.textContent = PROBLEMS[asked.get("why")];
  problem.hidden = false;
}
showRooms();
