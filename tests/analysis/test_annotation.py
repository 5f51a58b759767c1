"""MOTChallenge text of people, line by line."""

import numpy as np
import pytest

from video_platform.analysis import annotation
from video_platform.errors import AnnotationError, InputError


def problems(text, **given):
    with pytest.raises(AnnotationError) as caught:
        annotation.parse(text, **given)
    return [str(problem) for problem in caught.value.facts["problems"]]


def test_lines_of_every_length_are_read():
    read = annotation.parse("1,3,10,20,30,40\n\n 2, 4, 11.5, -2, 30, 40, 1, 1, 0.8\n2,5,0,0,5,5,0,8,1\n3,9,1,2,3,4,1,-4.15,-7.36,0\n")
    assert read.frame.tolist() == [1, 2, 2, 3]
    assert read.object_id.tolist() == [3, 4, 5, 9]
    assert read.boxes.tolist() == [[10, 20, 30, 40], [11.5, -2, 30, 40], [0, 0, 5, 5], [1, 2, 3, 4]]
    assert read.class_number.tolist() == [-1, 1, 8, -1], "the eighth of ten columns is a place in the world, no class"
    assert read.considered.tolist() == [True, True, False, True]
    assert read.line.tolist() == [1, 3, 4, 5]


def test_what_mot15_marks_counts_unless_it_is_asked_otherwise():
    text = "1,3,10,20,30,40,0,1.5,2.5,0\n1,4,10,20,30,40,1,1.5,2.5,0\n"
    every = annotation.parse(text)
    assert (every.considered.tolist(), every.counted_all_the_same) == ([True, True], 1)
    some = annotation.parse(text, considered_only=True)
    assert (some.considered.tolist(), some.counted_all_the_same) == ([False, True], 0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2,1,3,4", "line 2: 4 values; a line has frame,object,left,top,width,height, and may go on with considered,class,visibility"),
        ("2;1;3;4;5;6", "line 2: 1 values; a line has frame,object,left,top,width,height, and may go on with considered,class,visibility"),
        ("0,1,3,4,5,6", "line 2: frame: 0 must be a whole number of at least 1"),
        ("2.5,1,3,4,5,6", "line 2: frame: 2.5 must be a whole number of at least 1"),
        ("2,-1,3,4,5,6", "line 2: object: -1 must be a whole number of at least 0"),
        ("2,1,x,4,5,6", "line 2: left: 'x' is no number"),
        ("2,1,3,nan,5,6", "line 2: top: 'nan' is no number"),
        ("2,1,3,inf,5,6", "line 2: top: 'inf' is no number"),
        ("2,1,3,4,0,6", "line 2: width: 0 must be more than 0"),
        ("2,1,3,4,5,-6", "line 2: height: -6 must be more than 0"),
        ("2,1,3,4,5,6,1,walker", "line 2: class: 'walker' is no number"),
        ("1,1,3,4,5,6", "line 2: object: object 1 has a box in frame 1 on line 1 already"),
        ("2,1,3,4,5,6,1,3", "line 2: class: object 1 is of class 3 here and of class -1 on line 1"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_with_what_is_wrong(line, said):
    assert problems(f"1,1,1,1,10,10\n{line}\n") == [said]


def test_every_line_is_named_and_the_message_stays_short():
    text = "".join(f"{frame},1,1,1,0,10\n" for frame in range(1, 501))
    with pytest.raises(AnnotationError) as caught:
        annotation.parse(text, "walk.txt")
    assert len(caught.value.facts["problems"]) == 500
    assert caught.value.message.startswith("walk.txt cannot be used: line 1: width: 0 must be more than 0; line 2:")
    assert caught.value.message.endswith("and 480 more")


def test_of_a_file_of_another_kind_only_the_first_problems_are_kept():
    with pytest.raises(AnnotationError) as caught:
        annotation.parse("time;value\n" * 5000, "log.csv")
    assert len(caught.value.facts["problems"]) == annotation.KEPT_PROBLEMS
    assert caught.value.message.endswith("and 4,980 more")


def test_a_file_without_boxes_or_that_is_no_text_is_refused(tmp_path):
    with pytest.raises(AnnotationError, match="has no boxes"):
        annotation.parse("\n \n")
    path = tmp_path / "gt.txt"
    with pytest.raises(InputError, match=r"gt\.txt cannot be read: No such file"):
        annotation.read(path)
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="it is no text"):
        annotation.read(path)
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        annotation.read(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf1,1,1,1,10,10\r\n2,1,1,1,10,10\r\n")
    assert annotation.read(path).frame.tolist() == [1, 2], "with the mark and the line ends of Windows"


def test_an_annotation_of_another_video_is_refused():
    read = annotation.parse("1,1,10,10,30,40\n5,1,10,10,30,40\n2,2,100,10,30,40\n3,2,-30,10,30,40\n3,3,-29,95,30,40\n", "gt.txt")
    with pytest.raises(AnnotationError) as caught:
        read.check(4, 100, 100)
    assert [str(problem) for problem in caught.value.facts["problems"]] == [
        "line 2: frame: frame 5 of a video that has 4",
        "line 3: box: the box lies outside the picture of 100x100 pixels",
        "line 4: box: the box lies outside the picture of 100x100 pixels",
    ]
    assert caught.value.message.endswith("it is the annotation of another video, or of one of another size than 100x100")


def test_boxes_become_tracks_in_fractions_of_the_picture():
    read = annotation.parse("2,7,10,20,30,40,1,1\n1,7,0,0,50,100,1,1\n1,8,0,0,50,100,1,3\n")
    tracks = read.tracks(np.array([0.0, 0.5]), 100, 200, {1: 4})
    assert (tracks.time_s.tolist(), tracks.track_id.tolist(), tracks.class_id.tolist(), tracks.score.tolist()) == ([0.0, 0.5], [7, 7], [4, 4], [1.0, 1.0])
    assert np.allclose(tracks.boxes, [[0, 0, 0.5, 0.5], [0.1, 0.1, 0.4, 0.3]])
