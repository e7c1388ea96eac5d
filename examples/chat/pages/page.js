import { Room } from "./room.js";

const kRooms = ["lobby", "garden", "kitchen"];
const kNames = ["Ada", "Bo", "Cleo", "Dag", "Ewa", "Finn", "Gio", "Hana", "Ines", "Juri"];
const kTypingMs = 2500;

const $ = (id) => document.getElementById(id);
const messages = $("messages");

let room = null;
let roomName = "";
let typingUntil = 0;
let typingSentAt = 0;

function ownName() {
  let name = sessionStorage.getItem("name");
  if (!name) {
    name = `${kNames[Math.floor(Math.random() * kNames.length)]} ${Math.floor(Math.random() * 90 + 10)}`;
    sessionStorage.setItem("name", name);
  }
  return name;
}

function element(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

function show(message) {
  if (document.getElementById(`m${message.id}`)) return;
  const item = element("li", message.text, message.sender === ownName() ? "own" : "");
  item.id = `m${message.id}`;
  const time = new Date(message.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  item.prepend(element("small", `${message.sender} · ${time}`));
  messages.append(item);
  messages.scrollTop = messages.scrollHeight;
}

function showNotice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

function showPresent(names) {
  $("present").replaceChildren(...names.map((name) => element("li", name)));
}

async function readAll() {
  const target = room;
  const [history, present] = await Promise.all([target.call("history", 100, 0), target.call("present")]);
  if (target !== room) return;
  for (const message of history) show(message);
  showPresent(present);
}

const listeners = {
  message: (message) => {
    show(message);
    $("typing").textContent = "";
  },
  present: showPresent,
  typing: (name) => {
    $("typing").textContent = `${name} is writing …`;
    typingUntil = Date.now() + kTypingMs;
    setTimeout(() => {
      if (Date.now() >= typingUntil) $("typing").textContent = "";
    }, kTypingMs + 50);
  },
};

function enter() {
  room?.close();
  roomName = decodeURIComponent(location.hash.slice(1)) || kRooms[0];
  messages.replaceChildren();
  showPresent([]);
  showNotice("");
  $("title").textContent = `# ${roomName}`;
  $("room").value = roomName;
  $("rooms").replaceChildren(
    ...[...new Set([...kRooms, roomName])].map((name) => {
      const link = element("a", `# ${name}`);
      link.href = `#${encodeURIComponent(name)}`;
      if (name === roomName) link.setAttribute("aria-current", "page");
      return link;
    }),
  );
  const entered = new Room("chatRoom", [roomName], { name: ownName() }, Object.keys(listeners));
  room = entered;
  const listen = (name, listener) =>
    entered.addEventListener(name, ({ detail }) => entered === room && listener(detail));
  listen("event", ({ name, value }) => listeners[name](value));
  listen("missed", () => readAll().catch((error) => showNotice(error.message)));
  listen("refused", (error) => showNotice(error.message));
  listen("status", () => {
    $("status").textContent = $("status").dataset.status = entered.status;
  });
  readAll().catch((error) => showNotice(error.message));
}

$("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  typingSentAt = 0;
  const sending = element("li", text, "own sending");
  messages.append(sending);
  messages.scrollTop = messages.scrollHeight;
  try {
    show(await room.call("send", text));
    showNotice("");
  } catch (error) {
    $("text").value ||= text;
    showNotice(error.message);
  }
  sending.remove();
});

$("text").addEventListener("input", () => {
  if (Date.now() - typingSentAt < kTypingMs || room.status !== "connected") return;
  typingSentAt = Date.now();
  room.call("type").catch(() => {});
});

$("name").value = ownName();
$("name").addEventListener("change", () => {
  const name = $("name").value.trim();
  if (name) sessionStorage.setItem("name", name);
  $("name").value = ownName();
  enter();
});
$("rooms-form").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = encodeURIComponent($("room").value.trim());
});
addEventListener("hashchange", enter);
enter();
