"""The corpus: the same bytes every time, of the sizes and kinds that it promises."""

import email
import re
import statistics

import pytest

from bench.corpus import MEDIAN_SIZE, RARE_WORDS, Corpus


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus(seed=7)


def test_the_same_seed_gives_the_same_messages() -> None:
    assert list(Corpus(7).messages(30)) == list(Corpus(7).messages(30))


def test_another_seed_gives_other_messages(corpus: Corpus) -> None:
    assert corpus.message(3) != Corpus(8).message(3)


def test_a_message_depends_on_its_number_alone(corpus: Corpus) -> None:
    assert Corpus(7).message(250) == list(corpus.messages(251))[250]


def test_the_median_is_about_four_kilobytes(corpus: Corpus) -> None:
    sizes = [len(message.content) for message in corpus.messages(1500)]
    assert 0.8 * MEDIAN_SIZE < statistics.median(sizes) < 1.25 * MEDIAN_SIZE
    assert max(sizes) > 50 * MEDIAN_SIZE


def test_lines_end_in_crlf_and_are_short_enough_for_smtp(corpus: Corpus) -> None:
    for message in corpus.messages(300):
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", message.content)
        assert max(map(len, message.content.split(b"\r\n"))) <= 998  # RFC 5322 §2.1.1


def test_messages_are_well_formed_and_of_several_kinds(corpus: Corpus) -> None:
    parsed = [email.message_from_bytes(message.content) for message in corpus.messages(300)]
    assert not [part.defects for whole in parsed for part in whole.walk() if part.defects]
    kinds = {part.get_content_type() for whole in parsed for part in whole.walk()}
    assert kinds >= {"text/plain", "text/html", "multipart/alternative", "message/rfc822"}


def test_replies_refer_to_messages_that_are_there(corpus: Corpus) -> None:
    parsed = [email.message_from_bytes(message.content) for message in corpus.messages(400)]
    known = {whole["Message-ID"] for whole in parsed}
    replies = [whole for whole in parsed if whole["References"]]
    assert len(known) == 400
    assert len(replies) > 150
    assert all(set(reply["References"].split()) <= known for reply in replies)


@pytest.mark.parametrize("word", RARE_WORDS)
def test_a_rare_word_stands_in_as_many_messages_as_promised(corpus: Corpus, word: str) -> None:
    found = sum(word.encode() in message.content for message in corpus.messages(1100))
    assert found == corpus.rare_hits(word, 1100) > 0


@pytest.mark.parametrize("size", [600, MEDIAN_SIZE, 100_000])
def test_a_sized_message_has_that_size(corpus: Corpus, size: int) -> None:
    message = corpus.sized(12, size)
    assert len(message) == size
    assert message.endswith(b"\r\n")
    assert message != corpus.sized(13, size)
