"""What is remembered, for how long, and what is not."""

from __future__ import annotations

from postroom_auth.domain.password import Password
from postroom_auth.domain.people import Credential
from postroom_auth.remembered import CheckedPasswords, Remembered


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_values_get_old() -> None:
    clock = Clock()
    remembered = Remembered[str, int](5.0, 10, clock)
    remembered.put("a", 1, remembered.era)
    clock.now = 4.9
    assert remembered.get("a", 0) == 1
    clock.now = 5.0
    assert remembered.get("a", 0) == 0
    assert len(remembered) == 0


def test_the_least_recently_used_goes_first() -> None:
    remembered = Remembered[str, int](5.0, 2, Clock())
    for name in ("a", "b"):
        remembered.put(name, 1, remembered.era)
    remembered.get("a", 0)
    remembered.put("c", 1, remembered.era)
    assert [remembered.get(name, 0) for name in "abc"] == [1, 0, 1]


def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    remembered = Remembered[str, int](5.0, 2, Clock())
    era = remembered.era
    remembered.forget()
    remembered.put("a", 1, era)
    assert remembered.get("a", 0) == 0


async def test_what_is_read_is_remembered_also_that_there_is_nothing() -> None:
    remembered = Remembered[str, int | None](5.0, 2, Clock())
    answers = iter([None, 1])

    async def read() -> int | None:
        return next(answers)

    for _ in range(2):
        assert await remembered.or_read("a", read) is None
    remembered.forget()
    assert await remembered.or_read("a", read) == 1


async def test_what_is_read_while_something_changes_is_not_remembered() -> None:
    remembered = Remembered[str, int](5.0, 2, Clock())

    async def read() -> int:
        remembered.forget()
        return 1

    assert await remembered.or_read("a", read) == 1
    assert len(remembered) == 0


def test_nothing_is_kept_where_there_is_no_room() -> None:
    remembered = Remembered[str, int](5.0, 0, Clock())
    remembered.put("a", 1, remembered.era)
    assert len(remembered) == 0


def credential(account_id: int = 1, version: int = 1) -> Credential:
    return Credential(account_id, "ann@example.org", 0, False, "$hash", version)


def test_a_digest_is_one_accounts_one_versions_and_one_passwords() -> None:
    checked = CheckedPasswords(300.0, 10, Clock())
    horse = Password.prepare("horse")
    checked.add(checked.digest(credential(), horse))
    assert checked.digest(credential(), horse) in checked
    for other in (
        checked.digest(credential(version=2), horse),
        checked.digest(credential(account_id=2), horse),
        checked.digest(credential(account_id=11), horse),
        checked.digest(credential(), Password.prepare("Horse")),
    ):
        assert other not in checked


def test_each_process_has_a_key_of_its_own() -> None:
    one, other = CheckedPasswords(300.0, 10, Clock()), CheckedPasswords(300.0, 10, Clock())
    horse = Password.prepare("horse")
    assert one.digest(credential(), horse) != other.digest(credential(), horse)
