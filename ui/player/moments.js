// Sentences and rows that point at moments: clicking one seeks the player of the same page, without a run of the page.

const SEEK_EVENT = "video-platform:seek";

function go(player, at_s) {
  window.dispatchEvent(new CustomEvent(SEEK_EVENT, { detail: { player, at_s, play: false } }));
}

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function row(player, given) {
  const item = make("li", given.muted ? "muted" : "");
  const first = given.spans[0];
  const body = make(first ? "button" : "p", "text", given.text);
  if (first) {
    body.type = "button";
    body.onclick = () => go(player, first.at_s);
    body.title = `Show ${first.label}`;
  }
  item.append(body);
  if (given.note) item.append(make("p", "note", given.note));
  if (given.spans.length || given.tag) {
    const chips = make("div", "chips");
    if (given.tag) chips.append(make("span", `tag ${given.tag.color}`, given.tag.text));
    for (const span of given.spans) {
      const chip = make("button", "chip", span.label);
      chip.type = "button";
      chip.onclick = () => go(player, span.at_s);
      chips.append(chip);
    }
    item.append(chips);
  }
  return item;
}

export default function ({ data, parentElement }) {
  const list = parentElement.querySelector(".moments");
  const content = JSON.stringify(data);
  if (list.dataset.content === content) return;
  list.dataset.content = content;
  list.setAttribute("aria-label", data.alt);
  list.replaceChildren(...data.rows.map((given) => row(data.player, given)));
}
