// The network of the page under test: a store of tasks behind fetch, and sockets that a test speaks through.
window.fake = {
  tasks: new Map(),
  questions: [],
  schedules: [],
  timing: null,
  parameters: [],
  comparison: null,
  counts: [],
  graphs: {},
  sent: [],
  sockets: [],
  refusal: null,
  live: () => fake.sockets.filter((socket) => !socket.isClosed && socket.isOpen),
  tell(event) {
    for (const socket of fake.live()) {
      const wanted = new URL(socket.url).searchParams;
      if (wanted.get("outputs") === "false" && event.type === "cell.output") continue;
      if (!wanted.get("task") || wanted.get("task") === event.task_id) socket.onmessage({ data: JSON.stringify(event) });
    }
  },
  breakSockets: () => fake.live().forEach((socket) => { socket.isClosed = true; socket.onclose(); }),
};

function answer(path, query, method) {
  const [, id, verb] = path.match(/^tasks\/([^/]+)\/?(\w*)/) ?? [];
  if (path === "tasks") {
    const states = query.getAll("state"), parent = query.get("parent"), name = query.get("name") ?? "", limit = Number(query.get("limit") ?? 50);
    const found = [...fake.tasks.values()]
      .filter((task) => (!parent || task.parent_id === parent) && !(query.get("top") && task.parent_id) && [null, task.kind].includes(query.get("kind")) && (!states.length || states.includes(task.state)) && task.name.startsWith(name))
      .sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
    const from = Number(query.get("cursor") ?? 0), next = from + limit;
    return { tasks: found.slice(from, next), next_cursor: next < found.length ? String(next) : null };
  }
  if (/^workflows\/[^/]+$/.test(path)) return fake.graphs[path.split("/")[1]];
  if (path === "schedules" && method === "GET") return { schedules: fake.schedules };
  if (path.includes("/compare/")) return fake.comparison;
  if (path === "sql") return { rows: fake.counts };
  if (path === "notebooks/parameters") return { parameters: fake.parameters };
  if (path === "timings") return fake.timing;
  if (path === "questions") return { questions: fake.questions };
  if (path.endsWith("/answer")) fake.questions = [];
  if (verb === "notebook") return fake.notebook;
  if (verb === "logs") return { text: "a line of the log\n", next_offset: 10, finished: true };
  return method === "GET" || verb ? fake.tasks.get(id) ?? null : {};
}

window.fetch = async (address, { method = "GET", headers, body } = {}) => {
  const url = new URL(address), path = url.pathname.split("/opspawn/api/v1/")[1] ?? url.pathname;
  fake.sent.push({ method, path, query: url.search, base: url.pathname.split("opspawn")[0], xsrf: new Headers(headers).get("X-XSRFToken"), body: body && JSON.parse(body) });
  if (fake.refusal && method === "POST") return new Response(JSON.stringify({ message: fake.refusal }), { status: 409 });
  const found = answer(path, url.searchParams, method);
  return new Response(JSON.stringify(found ?? { message: "There is no such task." }), { status: found ? 200 : 404 });
};

window.WebSocket = class {
  constructor(url) {
    this.url = String(url);
    fake.sockets.push(this);
    queueMicrotask(() => {
      this.isOpen = true;
      this.onmessage({ data: JSON.stringify({ type: "hello", seq: 5, instance: "one" }) });
    });
  }
  close() {
    this.isClosed = true;
  }
};
