import pytest

from service.config.versions import version_policy
from service.errors import StartError


def chosen(text: str, present: list[int], broken: tuple[int, ...] = ()) -> list[int]:
    policy, sound = version_policy(text), []
    for version in policy.order(present):
        if policy.enough(len(sound)):
            break
        if version in present and version not in broken:
            sound.append(version)
    return sound


@pytest.mark.parametrize(
    ("text", "expected"),
    [("all", [9, 4, 2]), ("latest", [9]), ("latest:2", [9, 4]), ("latest:9", [9, 4, 2]), ("2,9", [9, 2]), ("7", [])],
)
def test_a_policy_chooses_the_newest_first(text, expected):
    assert chosen(text, [2, 4, 9]) == expected


def test_a_broken_version_does_not_count_among_the_latest():
    assert chosen("latest:2", [2, 4, 9], broken=(9,)) == [4, 2]


@pytest.mark.parametrize(
    "text", ["", "newest", "latest:0", "latest:", "latest:-1", "0", "1,", ",1", "1, 2", "-1", "all\n", "1" * 30]
)
def test_anything_else_is_refused(text):
    with pytest.raises(StartError, match="versions"):
        version_policy(text)
