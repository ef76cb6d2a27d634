import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import base_subject, limits


@pytest.mark.parametrize(
    ("subject", "base", "is_reply_or_forward"),
    [
        (b"", "", False),
        (b"hello", "hello", False),
        (b"Re: hello", "hello", True),
        (b"re:hello", "hello", True),
        (b"RE : hello", "hello", True),
        (b"Fw: hello", "hello", True),
        (b"Fwd: hello", "hello", True),
        (b"Fwd : Re: FW: hello", "hello", True),
        (b"Re[2]: hello", "hello", True),
        (b"Re [x y] : hello", "hello", True),
        (b"Re:", "", True),
        (b"Reply: hello", "Reply: hello", False),
        (b"Re hello", "Re hello", False),
        (b"hello (fwd)", "hello", True),
        (b"hello (FWD) (fwd) ", "hello", True),
        (b"(fwd)", "", True),
        (b"hello(fwd)", "hello", True),
        (b"[list] hello", "hello", False),
        (b"[list] [sub] hello", "hello", False),
        (b"[list] Re: [list] Re: hello", "hello", True),
        (b"Re: [list] Fwd: hello", "hello", True),
        (b"[list]", "[list]", False),
        (b"[a] [b]", "[b]", False),
        (b"[a][b]", "[b]", False),
        (b"Re: [a]", "[a]", True),
        (b"[a] Re:", "", True),
        (b"[fwd: hello]", "hello", True),
        (b"[Fwd: Re: hello (fwd)]", "hello", True),
        (b"[fwd: [fwd: hello]]", "hello", True),
        (b"Re: [fwd: [list] hello] (fwd)", "hello", True),
        (b"[fwd: hello] again", "again", False),
        (b"[fwd: ]", "", True),
        (b"[fwd: a] b]", "b]", False),
        (b"[un[closed] hello", "[un[closed] hello", False),
        (b"a  b\t c", "a b c", False),
        (b"hello [tail]", "hello [tail]", False),
        (b"=?utf-8?Q?Re=3A_gr=C3=BC=C3=9Fe?=", "grüße", True),
        (b"=?utf-8?Q?Re=3A?= =?utf-8?Q?_x?=", "x", True),
    ],
)
def test_base_subject(subject: bytes, base: str, is_reply_or_forward: bool) -> None:
    assert base_subject(subject) == (base, is_reply_or_forward)


@given(st.lists(st.sampled_from(["re:", "fwd:", "[x]", "[fwd:", "]", "(fwd)", " ", "[", "a"])))
def test_a_base_subject_is_its_own_base(pieces: list[str]) -> None:
    base, _ = base_subject("".join(pieces).encode())
    # `[x][fwd: ]]` and the like lose a blob, and what follows is taken for the header of another.
    again, _ = base_subject(base.encode())
    assert len(again) <= len(base)
    if "[" not in base:
        assert again == base


@pytest.mark.parametrize("unit", [b"re: ", b"[x] ", b"[fwd:", b"(fwd)", b"re[x]:", b"["])
def test_hostile_subjects_are_cut(unit: bytes) -> None:
    base, _ = base_subject(unit * 1_000_000)
    assert len(base) <= limits.SUBJECT_BYTES
