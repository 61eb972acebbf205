"""When another worker takes the place of one that has ended, and when that is given up."""

from service.processes.history import History


def test_those_that_die_young_are_replaced_later_and_later() -> None:
    history, waits = History(), []
    for _ in range(12):
        history.note(True, 1.0, False)
        waits.append(history.wait_s())
    assert waits[0] < 1
    assert waits == sorted(waits)
    assert waits[-1] == 30
    assert not history.hopeless


def test_one_that_lived_long_is_replaced_at_once() -> None:
    history = History()
    for lived_s in (1.0, 1.0, 3600.0):
        history.note(True, lived_s, False)
    assert history.wait_s() <= 0.1


def test_successors_that_cannot_start_are_given_up_after_some_tries() -> None:
    history = History()
    for _ in range(2):
        history.note(False, 1.0, True)
        assert not history.hopeless
    history.note(False, 1.0, True)
    assert history.hopeless


def test_successors_that_are_killed_while_others_serve_are_tried_for_ever() -> None:
    history = History()
    for _ in range(50):
        history.note(False, 1.0, False)
    assert not history.hopeless
    assert history.wait_s() == 30


def test_one_that_served_in_between_is_a_new_beginning() -> None:
    history = History()
    for joined in (False, False, True, False, False):
        history.note(joined, 1.0, True)
    assert not history.hopeless
