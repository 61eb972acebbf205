"""Bars where somebody watches, silence where output is piped; the steps are the same."""

from harmonic.data.tracking import tracked


def test_elsewhere_the_steps_come_and_nothing_is_said(capsys, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert list(tracked(iter("abc"), "Reading", 3)) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_a_bar_is_drawn_beside_the_output(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(tracked(iter("abc"), "Reading", 3)) == ["a", "b", "c"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "Reading" in err
    assert "100%" in err
