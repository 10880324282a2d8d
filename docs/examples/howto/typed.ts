import { chatGroups, connectChat } from "./chat.js";

const name = "lobby";
const client = connectChat("wss://chat.example", { name });

async function main(show: (text: string) => void): Promise<void> {
  // Each publication is `{ type: "said"; text: string }`, and `message` has that type.
  const room = client.subscribe(chatGroups.watch({ name }));
  room.on("publication", ({ message }) => show(message.text));

  // { type: "say", txt: "hi" } or { type: "shout", text: "hi" } would not compile.
  const receipt = await client.request({ type: "say", text: "Good morning" });
  show(`${receipt.length} characters`);

  for await (const word of client.stream({ type: "ask", question: "Who is here?" })) {
    show(word);
  }
}
