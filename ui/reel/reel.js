// A reel: chapters seek and follow what is shown; chapters and subtitles are text tracks of the film. All text is set as text. Subtitles stand below the
// film, and over it on a full screen.

const MOUNTED = new WeakMap();

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

class Film {
  constructor(parent) {
    this.root = parent.querySelector(".reel");
    this.video = parent.querySelector("video");
    this.list = parent.querySelector(".chapters");
    this.trouble = parent.querySelector(".trouble");
    this.said = parent.querySelector(".said");
    this.video.ontimeupdate = this.video.onseeked = () => this.follow();
    this.video.onerror = () => this.failed();
    this.video.onloadedmetadata = () => this.ready();
    this.chapters = this.video.addTextTrack("chapters", "Chapters", "en");
    this.subtitles = this.video.addTextTrack("subtitles", "What is said");
    this.chapters.mode = "hidden";
    this.subtitles.oncuechange = () => this.say();
    this.video.onfullscreenchange = () => this.place();
  }

  show(data) {
    const before = this.data;
    this.data = data;
    this.video.setAttribute("aria-label", data.alt);
    if (!before || before.version !== data.version) this.load(0);
    const words = JSON.stringify([data.chapters, data.subtitles]);
    if (words !== this.words) this.write(words);
    this.follow();
  }

  load(at) {
    this.wanted = at;
    this.trouble.hidden = true;
    this.video.src = this.data.src;
  }

  ready() {
    this.video.style.setProperty("--ratio", String(this.video.videoHeight / this.video.videoWidth));
    if (this.wanted) this.video.currentTime = this.wanted;
    this.wanted = 0;
  }

  failed() {
    // Signed addresses end; the page hands down a fresh one before that, which is taken when the one in use has failed.
    if (this.video.getAttribute("src") !== this.data.src) this.load(this.video.currentTime);
    else this.trouble.hidden = false;
  }

  write(words) {
    this.words = words;
    for (const track of [this.chapters, this.subtitles]) while (track.cues?.length) track.removeCue(track.cues[0]);
    for (const { at_s, end_s, title } of this.data.chapters) this.chapters.addCue(new VTTCue(at_s, end_s, title));
    for (const { start_s, end_s, text } of this.data.subtitles) {
      const cue = new VTTCue(start_s, end_s, "");
      cue.text = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"); // the text of a cue is markup
      this.subtitles.addCue(cue);
    }
    this.place();
    this.list.replaceChildren(...this.data.chapters.map((chapter) => this.row(chapter)));
  }

  place() {
    const there = this.data.subtitles.length > 0;
    this.said.hidden = !there;
    this.subtitles.mode = !there ? "disabled" : this.video.matches(":fullscreen") ? "showing" : "hidden";
    this.say();
  }

  say() {
    this.said.textContent = [...(this.subtitles.activeCues ?? [])].map((cue) => cue.getCueAsHTML().textContent).join(" ");
  }

  row({ at_s, title, page }) {
    const at = document.createElement("span");
    at.className = "at";
    at.textContent = clock(at_s);
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = title;
    button.onclick = () => {
      this.video.currentTime = at_s + 0.01;
      this.video.play().catch(() => {});
    };
    const link = document.createElement("a");
    link.href = page;
    link.textContent = "In the video";
    link.setAttribute("aria-label", `${title}, in the video`);
    const row = document.createElement("li");
    row.append(at, button, link);
    return row;
  }

  follow() {
    const at = this.video.currentTime;
    this.data.chapters.forEach(({ at_s, end_s }, index) => this.list.children[index]?.classList.toggle("now", at >= at_s && at < end_s));
  }

  end() {
    this.video.onerror = null;
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
  }
}

export default function ({ data, parentElement }) {
  if (!MOUNTED.has(parentElement)) MOUNTED.set(parentElement, new Film(parentElement));
  MOUNTED.get(parentElement).show(data);
  return () => {
    MOUNTED.get(parentElement)?.end();
    MOUNTED.delete(parentElement);
  };
}
