"""How H.264 is made by x264 here: the same pictures on as many threads give the same bytes, each time."""

PRESET = "veryfast"
"""`ultrafast` takes 0.75 of the time for four times the bytes."""

AVX_512F = 13
"""OpenCV's number of these instructions of a processor (`CV_CPU_AVX_512F` in its cvdef.h)."""

WITHOUT_AVX_512 = "sse2,ssse3,sse4.1,sse4.2,avx,fma3,lzcnt,bmi1,bmi2,avx2"
"""What x264 may use where the processor has AVX-512 (and so has all of these). With AVX-512 the part of its lookahead that follows blocks through time (mbtree)
gives one or the other result where a picture is no multiple of 256 wide: of eight encodings of one film of 320x272 two to four differed (PyAV 18.1), without it
or without mbtree none. That is the result of other processors too, and takes as long; without mbtree files are a tenth larger."""


def options(crf: int, **others: str) -> dict[str, object]:
    """Options of a `libx264` stream in PyAV; `others` are further ones of ffmpeg."""
    import cv2

    exact = {"x264-params": f"asm={WITHOUT_AVX_512}"} if cv2.checkHardwareSupport(AVX_512F) else {}
    return {"preset": PRESET, "crf": str(crf), **exact, **others}
