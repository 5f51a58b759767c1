"""One decoded frame: which way up it is, its size on a screen, and its pixels as arrays.

A stored picture may be turned or mirrored by the container's display matrix and may have pixels that are not square. Everything that leaves this module is
upright; what people look at (proxy, thumbnails, snapshots) also has square pixels.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

JPEG_QUALITY = 85
"""Thumbnails and snapshots: blocks cannot be seen, a 320 px picture stays near 15 KB."""

MIN_SIDE = 2
"""4:2:0 pictures have even sides of at least two pixels."""

FULL_RANGE = 2
"""AVCOL_RANGE_JPEG: luma 0-255. Proxies use the limited range (1) that every player assumes."""

LIMITED_RANGE = 1


@dataclass(frozen=True)
class Orientation:
    """How a stored picture becomes upright: transposed first, then flipped left-right (`flip_x`) and top-bottom (`flip_y`)."""

    transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: "av.VideoFrame") -> "Orientation":
        """From the display matrix on `frame`; the nearest of the eight right-angled orientations.

        The matrix maps a stored `(x, y)` to `(a x + c y, b x + d y)`, 16.16 fixed point in the order `a b u c d v x y w` (ISO/IEC 14496-12, 6.2.2).
        """
        entry: Any
        for entry in frame.side_data:
            if entry.type.name == "DISPLAYMATRIX":
                a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(entry), np.int32)[:5])
                if abs(a) + abs(d) >= abs(b) + abs(c):
                    return cls(False, a < 0, d < 0)
                return cls(True, c < 0, b < 0)
        return cls()

    @property
    def mirrored(self) -> bool:
        """Whether no turn alone makes the picture upright."""
        return self.transposed ^ self.flip_x ^ self.flip_y

    @property
    def rotation_deg(self) -> int:
        """The clockwise turn (0, 90, 180, 270); of a mirrored picture the turn that comes before flipping left-right."""
        if self.transposed:
            return 270 if self.flip_y else 90
        return 180 if self.flip_y else 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """`(width, height)` after turning a picture of this size; also its own inverse."""
        return (height, width) if self.transposed else (width, height)

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """`picture` (H, W) or (H, W, 3) made upright."""
        import cv2

        if self.transposed:
            picture = cv2.transpose(picture)  # type: ignore[assignment]
        if self.flip_x and self.flip_y:
            return cv2.flip(picture, -1)  # type: ignore[return-value]
        if self.flip_x:
            return cv2.flip(picture, 1)  # type: ignore[return-value]
        if self.flip_y:
            return cv2.flip(picture, 0)  # type: ignore[return-value]
        return picture


def square_size(width: int, height: int, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """The size of a picture once its pixels are square; height is kept. Aspects beyond 1:4 are taken for damage and ignored."""
    if not pixel_aspect or pixel_aspect <= 0 or not Fraction(1, 4) <= pixel_aspect <= 4:
        return width, height
    return max(MIN_SIDE, round(width * pixel_aspect)), height


def fitted(width: int, height: int, *, max_width: int | None = None, max_height: int | None = None, even: bool = False) -> tuple[int, int]:
    """The largest size of the same shape within the bounds, never above the given size; sides even where asked."""
    scale = min(1.0, (max_width or width) / width, (max_height or height) / height)
    if even:
        return max(MIN_SIDE, round(width * scale / 2) * 2), max(MIN_SIDE, round(height * scale / 2) * 2)
    return max(1, round(width * scale)), max(1, round(height * scale))


class Scaler:
    """Turns decoded frames into pictures of one size and pixel format (stored orientation).

    It keeps its swscale context between frames. Use one from one thread only, the one that decodes: two threads converting the same frame hang for good.
    """

    def __init__(self, width: int, height: int, pixel_format: str, how: str = "FAST_BILINEAR") -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self.width, self.height = width, height
        self._target = (width, height, pixel_format)
        self._how = how

    def __call__(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """The scaled frame; `frame` itself when it already is what is wanted."""
        full = int(frame.color_range) == FULL_RANGE
        ranges: dict[str, Any] = {"src_color_range": FULL_RANGE, "dst_color_range": LIMITED_RANGE} if full else {}
        return self._reformatter.reformat(frame, *self._target, interpolation=self._how, threads=1, **ranges)

    def array(self, frame: "av.VideoFrame") -> NDArray[np.uint8]:
        """The scaled frame as an array of its own: (H, W, 3) for bgr24, (H * 3 / 2, W) for yuv420p."""
        return self(frame).to_ndarray()  # type: ignore[return-value]


class PictureMaker:
    """Upright, square-pixel BGR pictures of one size from the frames of one video."""

    def __init__(self, size: tuple[int, int], orientation: Orientation, how: str = "BILINEAR") -> None:
        self._orientation = orientation
        self._scaler = Scaler(*orientation.size(*size), "bgr24", how)

    def __call__(self, frame: "av.VideoFrame") -> NDArray[np.uint8]:
        """The picture (H, W, 3)."""
        return self._orientation.apply(self._scaler.array(frame))


class ProxyPictureMaker:
    """Upright, square-pixel yuv420p frames with even sides, ready for the encoder."""

    def __init__(self, size: tuple[int, int], orientation: Orientation) -> None:
        self._orientation = orientation
        self._stored = orientation.size(*size)
        self._scaler = Scaler(*self._stored, "yuv420p")

    def __call__(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """A frame of its own, without time stamps."""
        scaled = self._scaler(frame)
        if scaled is not frame and self._orientation == Orientation():
            return scaled
        return self._turned(scaled)

    def _turned(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        import av

        planes: NDArray[np.uint8] = frame.to_ndarray()  # type: ignore[assignment]
        width, height = self._stored
        luma = planes[:height]
        u, v = planes[height:].reshape(2, height // 2, width // 2)
        turned = [self._orientation.apply(plane) for plane in (luma, u, v)]
        packed = np.concatenate([plane.ravel() for plane in turned]).reshape(turned[0].shape[0] * 3 // 2, -1)
        made = av.VideoFrame.from_ndarray(packed, "yuv420p")
        made.colorspace, made.color_range = frame.colorspace, frame.color_range
        return made


def jpeg(bgr: NDArray[np.uint8], quality: int = JPEG_QUALITY) -> bytes:
    """`bgr` (H, W, 3) as the bytes of a JPEG."""
    import cv2

    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a picture of shape {bgr.shape} could not be written as JPEG")
    return data.tobytes()
