// Uploads of any size, one after another, straight to the API. The queue belongs to the window: it survives runs of the page and other pages of the app.

const SHOWN_EVERY_MS = 200;
const SPEED_OVER_MS = 4000;
const KEPT_DONE = 20;

const queue = (window.videoPlatformUploads ??= { items: [], views: new Set(), next: 1, busy: false });
queue.start = start; // a newer load of this module brings newer functions
window.onbeforeunload = (event) => {
  if (queue.items.some((item) => item.state === "sending" || item.state === "waiting")) event.preventDefault();
};

function size(bytes) {
  let value = bytes;
  for (const unit of ["bytes", "KB", "MB", "GB"]) {
    if (value < 1024 || unit === "GB") return unit === "bytes" ? `${value} bytes` : `${value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return "";
}

function span(seconds) {
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 60) return `${Math.max(1, Math.ceil(seconds))} s left`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min left`;
  return `${(seconds / 3600).toFixed(1)} h left`;
}

function add(files, camera) {
  for (const file of files) queue.items.push({ id: queue.next++, file, camera, state: "waiting", sent: 0, said: "", marks: [] });
  changed();
  queue.start();
}

function changed() {
  const done = queue.items.filter((item) => item.state !== "waiting" && item.state !== "sending");
  for (const old of done.slice(0, Math.max(0, done.length - KEPT_DONE))) queue.items.splice(queue.items.indexOf(old), 1);
  for (const view of queue.views) view.draw();
}

function start() {
  if (queue.busy) return;
  const item = queue.items.find((each) => each.state === "waiting");
  if (!item) return;
  queue.busy = true;
  item.state = "sending";
  const query = new URLSearchParams({ name: item.file.name, camera: item.camera });
  const request = new XMLHttpRequest();
  item.request = request;
  request.open("POST", `${queue.url}?${query}`);
  request.setRequestHeader("Content-Type", item.file.type || "application/octet-stream");
  request.upload.onprogress = (event) => progressed(item, event.loaded);
  request.onload = () => answered(item, request);
  request.onerror = () => finish(item, "failed", "The connection broke before the server had everything. Nothing was kept; try again.");
  request.onabort = () => finish(item, "cancelled", "Cancelled. Nothing was kept.");
  request.send(item.file);
  changed();
}

function progressed(item, sent) {
  const now = performance.now();
  item.sent = sent;
  item.marks.push([now, sent]);
  while (item.marks.length > 2 && now - item.marks[0][0] > SPEED_OVER_MS) item.marks.shift();
  if (now - (item.shown ?? 0) < SHOWN_EVERY_MS && sent < item.file.size) return;
  item.shown = now;
  changed();
}

function answered(item, request) {
  let body = {};
  try {
    body = JSON.parse(request.responseText) ?? {};
  } catch {
    body = {};
  }
  if (request.status >= 200 && request.status < 300) {
    item.videoId = body.video_id;
    finish(item, "done", told(body));
  } else {
    finish(item, "failed", body.detail || `The server refused this file (${request.status}).`);
  }
}

function told(body) {
  if (body.again) return "These bytes were here already, and their video had failed; it is processed anew.";
  return body.created === false ? "These bytes are already here; nothing was added." : "Taken in. Processing starts on its own.";
}

function finish(item, state, said) {
  if (item.request) queue.busy = false; // one that only waited leaves the one that is being sent alone
  item.state = state;
  item.said = said;
  item.request = null;
  if (state === "done") item.file = { name: item.file.name, size: item.file.size };
  changed();
  if (state === "done") for (const view of queue.views) view.tell(item);
  queue.start();
}

function cancel(item) {
  if (item.request) item.request.abort();
  else finish(item, "cancelled", "Cancelled before it was sent.");
}

function again(item) {
  Object.assign(item, { state: "waiting", sent: 0, said: "", marks: [] });
  changed();
  queue.start();
}

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

class View {
  constructor(parent) {
    this.find = (selector) => parent.querySelector(selector);
    this.rows = new Map();
    const files = this.find(".files");
    const drop = this.find(".drop");
    this.find(".choose").onclick = () => files.click();
    files.onchange = () => {
      add(files.files, this.camera());
      files.value = "";
    };
    drop.ondragover = (event) => {
      event.preventDefault();
      drop.classList.add("over");
    };
    drop.ondragleave = () => drop.classList.remove("over");
    drop.ondrop = (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      add(event.dataTransfer.files, this.camera());
    };
    queue.views.add(this);
  }

  camera() {
    return this.find(".camera input").value.trim() || "default";
  }

  show(data, setTriggerValue) {
    queue.url = data.url;
    this.tell = (item) => setTriggerValue("uploaded", { video_id: item.videoId, name: item.file.name });
    this.find("datalist").replaceChildren(...data.cameras.map((camera) => Object.assign(document.createElement("option"), { value: camera })));
    this.draw();
  }

  draw() {
    const list = this.find(".queue");
    list.hidden = queue.items.length === 0;
    for (const [id, row] of this.rows) {
      if (!queue.items.some((item) => item.id === id)) {
        row.remove();
        this.rows.delete(id);
      }
    }
    for (const item of queue.items) {
      if (!this.rows.has(item.id)) {
        this.rows.set(item.id, this.row(item));
        list.append(this.rows.get(item.id));
      }
      this.fill(this.rows.get(item.id), item);
    }
  }

  row(item) {
    const row = make("li");
    const head = make("div", "head");
    head.append(make("span", "name", item.file.name), make("span", "state"));
    const bar = make("progress");
    bar.max = 1;
    bar.setAttribute("aria-label", `Progress of ${item.file.name}`);
    const foot = make("div", "foot");
    const stop = make("button", "cancel", "Cancel");
    stop.type = "button";
    stop.onclick = () => cancel(item);
    const retry = make("button", "again", "Try again");
    retry.type = "button";
    retry.onclick = () => again(item);
    foot.append(make("span", "said"), stop, retry);
    row.append(head, bar, foot);
    return row;
  }

  fill(row, item) {
    const words = { waiting: "Waiting", sending: "Uploading", done: "Done", failed: "Not taken in", cancelled: "Cancelled" };
    const going = item.state === "sending";
    const all = item.sent >= item.file.size && item.file.size > 0;
    row.className = item.state;
    row.querySelector(".state").textContent = going && all ? "Checking" : words[item.state];
    const bar = row.querySelector("progress");
    bar.hidden = !going;
    bar.value = item.file.size ? item.sent / item.file.size : 0;
    row.querySelector(".cancel").hidden = !going && item.state !== "waiting";
    row.querySelector(".again").hidden = item.state !== "failed" && item.state !== "cancelled";
    row.querySelector(".said").textContent = going ? this.pace(item) : item.said || size(item.file.size);
  }

  pace(item) {
    const first = item.marks[0];
    const last = item.marks[item.marks.length - 1];
    const done = `${size(item.sent)} of ${size(item.file.size)}`;
    if (!first || last[0] - first[0] < SHOWN_EVERY_MS) return done;
    const speed = ((last[1] - first[1]) / (last[0] - first[0])) * 1000;
    return `${done} · ${size(Math.round(speed))}/s · ${span((item.file.size - item.sent) / speed)}`;
  }
}

const MOUNTED = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  if (!MOUNTED.has(parentElement)) MOUNTED.set(parentElement, new View(parentElement));
  MOUNTED.get(parentElement).show(data, setTriggerValue);
  return () => {
    queue.views.delete(MOUNTED.get(parentElement));
    MOUNTED.delete(parentElement);
  };
}
