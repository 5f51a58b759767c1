// A picture that opens a page of the app: a plain click stays in the session, any other click is the browser's own.

const SHAPES = {
  received: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zm-.75 3.5h1.5v4.6l3.2 1.9-.75 1.25-3.95-2.4z",
  processing: "M12 5V2L8 6l4 4V7a5 5 0 0 1 4.6 7l1.5 1.5A7 7 0 0 0 12 5zm0 12a5 5 0 0 1-4.6-7L5.9 8.5A7 7 0 0 0 12 19v3l4-4-4-4z",
  ready: "M4 6h11v3.5l4-3v11l-4-3V18H4z",
  failed: "M12 3 2 20h20zm-.9 6.5h1.8v5h-1.8zm0 6.5h1.8v1.8h-1.8z",
};

export default function ({ data, parentElement, setTriggerValue }) {
  const link = parentElement.querySelector(".picture");
  const image = link.querySelector("img");
  const shape = link.querySelector("svg");
  const length = link.querySelector(".length");
  link.href = data.href;
  link.setAttribute("aria-label", data.alt);
  link.onclick = (event) => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    setTriggerValue("opened", true);
  };
  image.hidden = !data.src;
  image.alt = "";
  if (data.src && image.getAttribute("src") !== data.src) image.src = data.src;
  shape.style.display = data.src ? "none" : "";
  shape.querySelector("path").setAttribute("d", SHAPES[data.shape] ?? SHAPES.ready);
  length.textContent = data.length;
  length.hidden = !data.length;
}
