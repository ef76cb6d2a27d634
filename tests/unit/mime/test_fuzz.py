import pytest

from tests.unit.mime.fuzz import fuzz, mutants


@pytest.mark.parametrize("seed", range(4))
def test_mutants_hold_what_must_hold(seed: int) -> None:
    fuzz(300, seed)


def test_it_is_deterministic() -> None:
    assert list(mutants(20, 7)) == list(mutants(20, 7))
