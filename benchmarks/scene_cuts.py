"""Both scene modes against 30 known cuts: precision and recall per kind of cut, and CPU seconds against bare decoding, all in one process.

    python -m benchmarks.scene_cuts [--footage FILE] [--keep FOLDER]

Three clips are joined in code, one per kind (hard cuts, fades through black, dissolves), each of eleven pieces: crops of real footage, of which some
neighbours show the same place, and drawn scenes. Within pieces lie what is no cut: a flash, an object that crosses before the lens, a fast pan. A cut counts
as found when a scene begins within `SLACK_S` of its transition; of several such the others are false. The mode accurate takes its model where `vp models
pull transnetv2` leaves it. The thresholds of both modes are older than these
clips; how the fast mode joins the parts of a gradual change (`scenes.CALM`, `ONE_CHANGE_S`) was chosen with them.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # as in the process that analyses

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.footage import SAMPLE
from video_platform import scene_model
from video_platform.analysis import media, one_pass
from video_platform.analysis.scenes import SceneParameters
from video_platform.errors import PlatformError
from video_platform.layout import SCENES
from video_platform.scene_model import SceneModel
from video_platform.settings import SceneSettings, Settings

FPS = 25
SIZE = (640, 360)
PIECE = 36
"""Frames of a piece; the transition takes its part of two of them."""

PIECES = "RRSRSSRRSRS"
"""Real and drawn, in this order: neighbours of the same kind are the hardest to tell apart."""

KINDS = {"hard": 0, "fade": 16, "dissolve": 12}
"""Kind of cut -> frames that it lasts: two thirds of a second, half a second."""

SLACK_S = 0.3
TRAPS = {2: "flash", 4: "pan", 6: "object", 9: "flash"}
"""Number of a piece -> what happens in its middle and is no cut."""

PLACES = ((0, 60), (384, 60), (0, 330), (384, 330), (190, 200), (190, 40))
"""Left and top of the crops of real footage, 384x216 pixels of 768x576."""

COST_SIZE, COST_FPS, COST_FRAMES = (1920, 1080), 30, 240
"""The clip that cost is measured with: the real footage with noise, as a camera gives it."""

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Joined:
    """A clip with its truth: each cut as the times at which its transition begins and ends."""

    kind: str
    path: Path
    cuts_s: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Score:
    """Cuts that were found, of how many, and how many more there were said to be."""

    found: int
    cuts: int
    false: int

    @property
    def precision(self) -> float:
        return self.found / (self.found + self.false) if self.found + self.false else 1.0

    @property
    def recall(self) -> float:
        return self.found / self.cuts


def joined(kind: str, footage: Path, folder: Path) -> Joined:
    """The clip of one kind of cut, and where its cuts are."""
    pieces = [_piece(number, kind, footage) for number in range(len(PIECES))]
    lasts = KINDS[kind]
    path, frames, cuts = folder / f"{kind}.mp4", [], []
    for number, piece in enumerate(pieces):
        for at, picture in enumerate(piece):
            into, left = at, PIECE - 1 - at
            if lasts and number and into < lasts // 2:
                picture = _blended(pieces[number - 1][-1], picture, (into + lasts // 2 + 1) / (lasts + 1), kind)
            elif lasts and number < len(pieces) - 1 and left < lasts // 2:
                picture = _blended(picture, pieces[number + 1][0], (lasts // 2 - left) / (lasts + 1), kind)
            frames.append(picture)
        if number:
            first = number * PIECE
            cuts.append(((first - lasts // 2) / FPS, (first + lasts // 2) / FPS))
    _write(path, frames, SIZE, FPS)
    return Joined(kind, path, cuts)


def _blended(before: Picture, after: Picture, part: float, kind: str) -> Picture:
    """`part` (0-1) of the way from one picture to the next; a fade goes by way of black."""
    if kind == "dissolve":
        return cv2.addWeighted(before, 1 - part, after, part, 0)  # type: ignore[return-value]
    shown, light = (before, 1 - 2 * part) if part < 0.5 else (after, 2 * part - 1)
    return (shown * light).astype(np.uint8)


def _piece(number: int, kind: str, footage: Path) -> list[Picture]:
    """The pictures of one piece, with what happens in it that is no cut."""
    rng = np.random.default_rng([number, sorted(KINDS).index(kind)])
    pictures = _real(footage, number, rng) if PIECES[number] == "R" else _drawn(rng)
    trap = TRAPS.get(number)
    middle = PIECE // 2
    if trap == "flash":
        for at in (middle, middle + 1):
            pictures[at] = cv2.convertScaleAbs(pictures[at], alpha=1.0, beta=140)  # type: ignore[call-overload]
    elif trap == "pan":
        for at in range(PIECE):
            pictures[at] = np.roll(pictures[at], -24 * int(np.clip(at - middle + 4, 0, 8)), axis=1)
    elif trap == "object":
        shade = rng.integers(40, 200, 3).tolist()
        for at in range(middle - 5, middle + 6):
            left = int((at - middle + 5) / 10 * (SIZE[0] + 400)) - 400
            cv2.rectangle(pictures[at], (left, 0), (left + 400, SIZE[1]), shade, -1)
    return pictures


def _real(footage: Path, number: int, rng: np.random.Generator) -> list[Picture]:
    """A crop of the footage from some moment on, frame by frame: its ten frames a second are shown as 25."""
    left, top = PLACES[number % len(PLACES)]
    skip = int(rng.integers(0, 200))
    found = []
    with av.open(str(footage)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index < skip:
                continue
            crop = frame.to_ndarray(format="bgr24")[top : top + 216, left : left + 384]
            found.append(cv2.resize(crop, SIZE, interpolation=cv2.INTER_CUBIC))
            if len(found) == PIECE:
                return found
    raise SystemExit(f"{footage} has no {skip + PIECE} frames; --footage takes a longer one")


def _drawn(rng: np.random.Generator) -> list[Picture]:
    """A texture that drifts, with shapes that move before it."""
    width, height = SIZE
    base = cv2.resize(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8), (width + 80, height), interpolation=cv2.INTER_CUBIC)
    tint = rng.integers(20, 235, 3)
    ground = (0.4 * base + 0.6 * tint).astype(np.uint8)
    shapes = [
        (rng.integers(0, width), rng.integers(40, height), rng.integers(-6, 7), int(rng.integers(15, 50)), rng.integers(0, 256, 3).tolist()) for _ in range(5)
    ]
    pictures = []
    for at in range(PIECE):
        picture = np.ascontiguousarray(ground[:, at : at + width])
        for x, y, speed, radius, colour in shapes:
            cv2.circle(picture, (int(x + speed * at) % width, int(y)), radius, colour, -1)
        pictures.append(picture)
    return pictures


def camera(footage: Path, folder: Path) -> Path:
    """The clip that cost is measured with."""

    def pictures() -> Iterator[Picture]:
        rng = np.random.default_rng(1)
        noise = [rng.integers(-4, 5, (COST_SIZE[1], COST_SIZE[0], 1), dtype=np.int8) for _ in range(3)]
        with av.open(str(footage)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                large = cv2.resize(frame.to_ndarray(format="bgr24")[72:504], COST_SIZE, interpolation=cv2.INTER_LINEAR)
                for part in range(3):
                    if 3 * index + part == COST_FRAMES:
                        return
                    yield cv2.add(large, np.repeat(noise[part], 3, 2).astype(np.int16), dtype=cv2.CV_8U)  # type: ignore[misc]

    path = folder / "camera.mp4"
    _write(path, pictures(), COST_SIZE, COST_FPS)
    return path


def _write(path: Path, pictures: Sequence[Picture] | Iterator[Picture], size: tuple[int, int], fps: int) -> None:
    """H.264 as cameras write it, a key frame in 250."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=Fraction(fps), options={"preset": "veryfast", "crf": "23", "bf": "2"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 250
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        output.mux(stream.encode(None))


def look(path: Path, mode: str, model: SceneModel | None) -> list[float]:
    """When scenes begin, without the first."""
    with tempfile.TemporaryDirectory() as out:
        order = one_pass.Order((SCENES,), scenes=SceneParameters(mode=mode), scene_model=model)
        made = one_pass.run(path, Path(out), order)[SCENES]
        return [each["at_s"] for each in made["thumbnails"] if each["scene"]]


def score(cuts_s: Sequence[tuple[float, float]], starts_s: Sequence[float]) -> Score:
    """Each beginning of a scene for one cut at most, and each cut by one."""
    left = list(starts_s)
    for begins, ends in cuts_s:
        within = [at for at in left if begins - SLACK_S <= at <= ends + SLACK_S]
        if within:
            left.remove(min(within, key=lambda at: abs(at - (begins + ends) / 2)))
    return Score(len(starts_s) - len(left), len(cuts_s), len(left))


def bare(path: Path) -> None:
    """Every frame decoded by the same library with as many threads, and nothing else."""
    with media.open_video(path, threads=2) as video:
        for _ in video.container.decode(video.stream):
            pass


def models() -> tuple[dict[str, SceneModel | None], str]:
    """The modes that can be measured here with their models, and why the other cannot."""
    try:
        return {"fast": None, "accurate": scene_model.usable(Settings(scenes=SceneSettings(mode="accurate")))}, ""
    except PlatformError as error:
        return {"fast": None}, error.message


def costs(clip: Path, known: dict[str, SceneModel | None]) -> dict[str, float]:
    """CPU seconds of bare decoding and of a pass that finds scenes and nothing else, in each mode; libraries are loaded before."""
    found = {}
    for name in ("bare", *known):
        began = time.process_time()
        bare(clip) if name == "bare" else look(clip, name, known[name])
        found[name] = time.process_time() - began
    return found


def rows(footage: Path = SAMPLE, keep: Path | None = None) -> list[str]:
    """The table rows of RESULTS.md."""
    cv2.setNumThreads(1)
    known, without = models()
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        scores = {}
        for kind in KINDS:
            clip = joined(kind, footage, folder)
            for mode, model in known.items():
                starts = look(clip.path, mode, model)
                scores[mode, kind] = score(clip.cuts_s, starts)
                print(f"{mode} {kind}: {scores[mode, kind]}, scenes begin at {', '.join(f'{at:.2f}' for at in starts)}", flush=True)
        spent = costs(camera(footage, folder), known)
    table = []
    for mode in known:
        of_mode = {kind: scores[mode, kind] for kind in KINDS}
        total = Score(*(sum(getattr(each, part) for each in of_mode.values()) for part in ("found", "cuts", "false")))
        each = "; ".join(f"{kind} {one.precision:.2f}, {one.recall:.2f}" for kind, one in of_mode.items())
        times = f"{spent[mode] / spent['bare']:.2f} x the {spent['bare']:.1f} s of bare decoding"
        cost = f"CPU {spent[mode]:.1f} s, {times}, for {COST_FRAMES / COST_FPS:g} s of 1080p30"
        table.append(f"| scenes, mode {mode}: precision, recall over {total.cuts} cuts | | {total.precision:.2f}, {total.recall:.2f} | {each}; {cost} |")
    return table + ([f"| scenes, mode accurate | | not measured | {without} |"] if without else [])


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--footage", type=Path, default=SAMPLE, help="768x576, at least 236 frames")
    parser.add_argument("--keep", type=Path, help="folder that the clips are left in")
    given = parser.parse_args()
    print("\n".join(rows(given.footage, given.keep)))


if __name__ == "__main__":
    main()
