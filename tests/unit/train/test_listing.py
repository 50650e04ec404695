import pytest

from inforeg.errors import ReadError
from inforeg.train.listing import Scan, read_scans


@pytest.fixture
def folder(tmp_path):
    for name in (
        "a_T1.nii.gz",
        "a_T2.nii.gz",
        "a_labels.nii.gz",
        "b_c_T1.nii",
        "d_seg.nii.gz",
        "e.png",
        "notes.txt",
    ):
        (tmp_path / name).touch()
    return tmp_path


def table(folder, text, name="images.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_folder_says_it_by_its_names(folder):
    found = {(s.subject, s.contrast): s for s in read_scans(folder, validation=0, test=0)}
    assert sorted(found) == [("a", "T1"), ("a", "T2"), ("b_c", "T1"), ("d", ""), ("e", "")]
    # The labels of a subject are those of all its images; one who has only labels is shown by them.
    assert found["a", "T1"].labels == found["a", "T2"].labels == folder / "a_labels.nii.gz"
    assert found["b_c", "T1"].labels is None
    assert found["d", ""].image is None and found["d", ""].labels == folder / "d_seg.nii.gz"
    assert found["e", ""].name == "e_labels" or found["e", ""].image == folder / "e.png"


def test_a_table_says_it_in_columns(folder):
    text = "subject,contrast,image,labels,split\nx,T1,a_T1.nii.gz,a_labels.nii.gz,train\n\ny,,,d_seg.nii.gz,test\n"
    expected = [
        Scan("x", "T1", folder / "a_T1.nii.gz", folder / "a_labels.nii.gz", "train"),
        Scan("y", "", None, folder / "d_seg.nii.gz", "test"),
    ]
    assert read_scans(table(folder, text)) == expected
    assert read_scans(table(folder, text.replace(",", "\t"), "images.tsv")) == expected


def test_subjects_are_split_as_wholes_by_the_seed(folder):
    rows = "".join(f"s{n},{c},a_T1.nii.gz\n" for n in range(20) for c in ("T1", "T2"))
    path = table(folder, "subject,contrast,image\n" + rows)
    scans = read_scans(path, seed=1, validation=0.15, test=0.2)
    of = {}
    for scan in scans:
        of.setdefault(scan.subject, set()).add(scan.split)
    assert all(len(splits) == 1 for splits in of.values())
    counts = [sum(split in splits for splits in of.values()) for split in ("train", "validation", "test")]
    assert counts == [13, 3, 4]
    assert read_scans(path, seed=1, validation=0.15, test=0.2) == scans
    assert read_scans(path, seed=2, validation=0.15, test=0.2) != scans


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "columns subject"),
        ("subject,contrast\nx,T1\n", "image or labels, are needed"),
        ("subject,image,age\nx,a_T1.nii.gz,3\n", "got subject, image, age"),
        ("subject,image\nx,\n", "line 2: expected a subject and an image or labels"),
        (
            "subject,image,split\nx,a_T1.nii.gz,dev\n",
            "line 2: expected split train, validation, test, got 'dev'",
        ),
        ("subject,image\nx,gone.nii.gz\n", "gone.nii.gz, which is not there"),
        ("subject,image\n", "found none"),
        (
            "subject,image,split\nx,a_T1.nii.gz,train\nx,a_T2.nii.gz,test\n",
            "subject x in two splits, train and test; what is tested must not be learnt from",
        ),
    ],
)
def test_what_a_table_does_not_say_is_asked_for(folder, text, said):
    with pytest.raises(ReadError, match=said) as error:
        read_scans(table(folder, text))
    assert "\n" not in str(error.value)


def test_a_table_that_is_no_text_is_refused(folder):
    (folder / "images.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ReadError, match="cannot read the table"):
        read_scans(folder / "images.csv")


@pytest.mark.parametrize(("subjects", "held"), [(3, 0), (4, 2), (6, 2), (20, 3)])
def test_two_are_held_back_where_two_are_left(folder, subjects, held):
    rows = "".join(f"s{n},a_T1.nii.gz\n" for n in range(subjects))
    scans = read_scans(table(folder, "subject,image\n" + rows), validation=0.15, test=0.0)
    assert sum(scan.split == "validation" for scan in scans) == held
