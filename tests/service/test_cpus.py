import pytest

from service.cpus import usable_cpus


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1), ("9900000 100000", 8)],
)
def test_a_quota_of_cgroup_v2_lowers_the_count(tmp_path, quota, cpus):
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert usable_cpus(tmp_path, affinity=8) == cpus


@pytest.mark.parametrize(("quota", "cpus"), [("-1", 8), ("300000", 3)])
def test_a_quota_of_cgroup_v1_lowers_the_count(tmp_path, quota, cpus):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cpus(tmp_path, affinity=8) == cpus


def test_without_a_quota_the_affinity_counts(tmp_path):
    assert usable_cpus(tmp_path, affinity=5) == 5
    assert usable_cpus() >= 1
